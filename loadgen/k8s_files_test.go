package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/kubernetes"
	"soundcheck/loadgen/kubernetes/kubetest"
	"soundcheck/loadgen/report"
)

// sorted returns all requests so far, in order.
func (s *service) sorted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.seen))
}

// folder writes files to a new folder, and returns it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The workers share the requests of files: each is sent once.
func TestK8sFiles(t *testing.T) {
	t.Parallel()
	h := newService(t)
	var rows, targets strings.Builder
	var wantRows, wantTargets []string
	rows.WriteString("name\n")
	for i := range 30 {
		fmt.Fprintf(&rows, "é-%02d\n", i)
		wantRows = append(wantRows, fmt.Sprintf("POST /%s-%02d order é-%02d", url.PathEscape("é"), i, i))
		fmt.Fprintf(&targets, "GET %s/t%02d\n\n", h.URL, i)
		wantTargets = append(wantTargets, fmt.Sprintf("GET /t%02d", i))
	}
	dir := folder(t, map[string]string{"the rows.csv": rows.String(), "targets.txt": targets.String(), "body": "order {{name}}"})
	for name, tt := range map[string]struct {
		args  []string
		want  []string
		files string
	}{
		"targets":   {[]string{"-targets", dir + "/targets.txt"}, wantTargets, "targets.txt"},
		"URL, data": {[]string{h.URL + "/{{name}}", "-method", "POST", "-body", "@" + dir + "/body", "-data", dir + "/the rows.csv"}, wantRows, "body the_rows.csv"},
	} {
		h.seen = nil
		c := newLab(t, "http://unused")
		values := onCluster(t, c)
		stdout, stderr, code := loadgen(t.Context(), append([]string{"k8s", "-context", c.Context, "-workers", "3", "-rate", "100", "-each-once", "-format", "json"}, tt.args...)...)
		v := values()
		var r report.Report
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 && code != 4 || r.Sent != len(tt.want) || r.Processes != 3 {
			t.Errorf("%s: %v, exit code %d, %d sent, %s", name, err, code, r.Sent, stderr)
		}
		if got := h.sorted(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: requests %q, want %q", name, got, tt.want)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(v.Files)), " "); got != tt.files {
			t.Errorf("%s: files %s, want %s", name, got, tt.files)
		}
		removed(t, c, "labs")
	}
}

// The workers generate from a contract what one process does, at the lab's URL with the path of its server.
func TestK8sOpenAPI(t *testing.T) {
	t.Parallel()
	h := newService(t)
	document := strings.Replace(string(albumhttp.Contract), "  - url: /\n", "  - url: /v7\n", 1)
	dir := folder(t, map[string]string{"api.yaml": document})
	c := newLab(t, h.URL)
	values := onCluster(t, c)
	stdout, stderr, _ := loadgen(t.Context(), "k8s", "-context", c.Context, "-workers", "3", "-rate", "100", "-n", "60", "-openapi", dir+"/api.yaml", "-mix", "createAlbum=1", "-format", "json")
	values()
	if strings.Contains(stderr, "127.0.0.1:9070") {
		t.Errorf("requests do not go to the lab of this machine: %s", stderr)
	}
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Sent != 60 || r.Processes != 3 || r.Target != h.URL+"/v7" {
		t.Errorf("%v, %d sent by %d to %s, %s", err, r.Sent, r.Processes, r.Target, stderr)
	}
	d, err := contract.Parse("api.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	g := d.NewGenerator(1, map[string]int{"createAlbum": 1}, 0)
	var want []string
	for n := range uint64(60) {
		q, err := g.Request(n)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, "POST /v7/albums "+string(q.Body))
	}
	slices.Sort(want)
	if got := h.sorted(); !slices.Equal(got, want) {
		t.Errorf("%d requests %q, want %d, %q", len(got), got, len(want), want)
	}
}

// The workers have the users of one process. The files of the flow are beside it.
func TestK8sFlow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	dir := folder(t, map[string]string{"buy.yaml": buyFlow, "rows.csv": rows(30), "full.yaml": strings.NewReplacer("/look", s.URL+"/look", "post: /pay", "post: "+s.URL+"/pay").Replace(buyFlow)})
	for name, tt := range map[string]struct{ args, want string }{
		"open":      {"-rate 100 -flow " + dir + "/buy.yaml", "-duration=300ms -flow=buy.yaml -n=30 -rate=100"},
		"closed":    {"-users 7 -flow " + dir + "/buy.yaml -think 1ms", "-duration=24h0m0s -flow=buy.yaml -n=30 -think=1ms -users=7"},
		"stages":    {"-users 100ms@1..5,1m@5 -flow " + dir + "/buy.yaml", "-flow=buy.yaml -n=30 -users=100ms@1..5,1m@5"},
		"full URLs": {"-users 5 -flow " + dir + "/full.yaml", "-duration=24h0m0s -flow=full.yaml -n=30 -users=5"},
	} {
		var c *kubetest.Cluster
		var v installed
		var stdout, stderr string
		together(t, func() string {
			s.take()
			c = newLab(t, s.URL)
			values := onCluster(t, c)
			stdout, stderr, _ = loadgen(t.Context(), append([]string{"k8s", "-context", c.Context, "-workers", "3", "-n", "30", "-format", "json"}, strings.Fields(tt.args)...)...)
			v = values()
			return started.FindString(stdout)
		})
		r := decodeFlow(t, stdout, stderr)
		requests, traces := s.take()
		if r.Processes != 3 || r.Flow.Completed != 29 || r.Flow.Failed != 1 || len(numbers(requests)) != 31 || traces != 30 { // and pays
			t.Errorf("%s: %d processes, %+v, %d traces, requests %q", name, r.Processes, r.Flow, traces, requests)
		}
		args := slices.DeleteFunc(v.Args, func(arg string) bool {
			return strings.HasPrefix(arg, "-wait=") || arg == "-explain=false" || arg == "-url="+s.URL && name != "full URLs"
		})
		if got := strings.Join(slices.Sorted(slices.Values(args)), " "); got != tt.want || len(v.Files) != 2 || v.Files["rows.csv"] != rows(30) {
			t.Errorf("%s: arguments %s, want %s; files %q", name, got, tt.want, v.Files)
		}
		removed(t, c, "labs")
	}
}

// Files that pods do not get.
func TestK8sFileErrors(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 900<<10)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"[r.IntN(64)]
	}
	step := func(body string) string { return "steps:\n  - {name: a, post: /, body: '@" + body + "'}\n" }
	dir := folder(t, map[string]string{"binary": "\xff", "order": "a", "_rows": "a", "both.yaml": step("order") + "  - {name: b, post: /, body: '@./order'}\n", "bodies": "POST http://a\n@order\n", "large": strings.Repeat("a", 1<<20+1), "noise": string(noise), "fits": strings.Repeat("a ", 1<<19), "one.yaml": "openapi: 3.0.3\ninfo: {title: a, version: b}\npaths: {/: {$ref: two.yaml}}", "two.yaml": "get: {responses: {'200': {description: a}}}"})
	if err := errors.Join(os.Mkdir(dir+"/b", 0o700), os.WriteFile(dir+"/b/order", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"in": "b/order", "up": dir + "/order", "big": "large", "bin": "binary", "ok": "./order", "hidden": "_rows"} {
		if err := os.WriteFile(dir+"/"+name+".yaml", []byte(step(body)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"http://a -body @" + dir + "/fits":       "",
		"http://a -body @" + dir + "/binary":     "-body " + dir + "/binary: pods get files of UTF-8 text only: use loadgen coordinate",
		"http://a -body @" + dir + "/large":      "large: 1048577 bytes, and pods get files of at most 1048576 bytes together, the limit of a Secret: use loadgen coordinate, which has no such limit",
		"http://a -body @" + dir + "/noise":      "noise: 921600 bytes, which Helm compresses with their release to ",
		"http://a -body @" + dir + "/missing":    "-body: open " + dir + "/missing: no such file",
		"-targets " + dir + "/bodies":            "-targets: " + dir + "/bodies:2: @order: the targets must not name other files.",
		"-targets " + dir + "/missing":           "-targets: open " + dir + "/missing: no such file",
		"-users 2 -flow " + dir + "/in.yaml":     "-flow names b/order, and pods have its files in one folder: put it beside the flow",
		"-users 2 -flow " + dir + "/up.yaml":     "-flow names " + dir + "/order, and pods",
		"-users 2 -flow " + dir + "/big.yaml":    "big.yaml, large: 1048",
		"-users 2 -flow " + dir + "/bin.yaml":    "-flow binary: pods get files of UTF-8 text only",
		"-users 2 -flow " + dir + "/ok.yaml":     "",
		"-users 2 -flow " + dir + "/both.yaml":   "",
		"-users 2 -flow " + dir + "/hidden.yaml": "-flow names _rows, and pods have its files in one folder: put it beside the flow, with a name of letters, digits, _, - and . that begins with a letter or a digit",
		"-users 1 -flow " + dir + "/ok.yaml":     "-users 1 is out of range: 2 to 131072 for 2 processes",
		"-openapi " + dir + "/one.yaml":          "-openapi " + dir + "/one.yaml has 2 files, and workers get one: bundle it into one",
	} {
		_, _, err := parseAttack(append([]string{"-workers", "2"}, strings.Fields(args)...), func(string) string { return "" }, io.Discard, &distribution{k8s: &kubernetes.Flags{}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// What is too large for the workers is an error before they are needed.
func TestTaskSize(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "large")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 26<<20)); err != nil { // in base64, more than 32 MiB
		t.Fatal(err)
	}
	args := []string{"-workers", "2", "-listen", "127.0.0.1:0", "http://a", "-body", "@" + name}
	_, _, err := parseAttack(args, func(string) string { return "" }, io.Discard, &distribution{})
	const want = " bytes, and at most 33554432 are possible: fewer -targets or rows of -data, or smaller files of -flow, -openapi or -body"
	if err == nil || cli.Code("loadgen", io.Discard, err) != 2 || !strings.Contains(err.Error(), want) {
		t.Errorf("%.200v, want %s", err, want)
	}
}

// Pipes can be read only once.
func TestK8sPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() { _ = os.WriteFile(path, []byte(text), 0o600) }()
		return path
	}
	d := &distribution{k8s: &kubernetes.Flags{}}
	parse := func(args ...string) {
		if _, _, err := parseAttack(append([]string{"-workers", "2"}, args...), func(string) string { return "" }, io.Discard, d); err != nil {
			t.Error(err)
		}
	}
	parse("-targets", pipe("targets", "GET http://a/{{id}}\n"), "-data", pipe("ids", "id\n7\n"))
	if want := (kubernetes.Files{"targets": "GET http://a/{{id}}\n", "ids": "id\n7\n"}); !maps.Equal(d.files, want) {
		t.Errorf("files %q, want %q", d.files, want)
	}
	parse("http://a", "-body", "@"+pipe("order", "a body"))
	if want := (kubernetes.Files{"order": "a body"}); !maps.Equal(d.files, want) || d.secrets["SOUNDCHECK_LOADGEN_BODY"] != "@order" {
		t.Errorf("files %q, want %q, environment %q", d.files, want, d.secrets)
	}
}

// The environment may have targets that the command line replaces.
func TestK8sUnusedFiles(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"targets": "GET http://a\n", "api.yaml": string(albumhttp.Contract)})
	env := map[string]string{"SOUNDCHECK_LOADGEN_TARGETS": dir + "/targets"}
	d := &distribution{k8s: &kubernetes.Flags{}}
	if _, _, err := parseAttack([]string{"-workers", "2", "-openapi", dir + "/api.yaml"}, func(name string) string { return env[name] }, io.Discard, d); err != nil {
		t.Fatal(err)
	}
	if len(d.files) != 1 || !slices.Equal(d.args, []string{"-openapi=api.yaml"}) {
		t.Errorf("%d files, arguments %q", len(d.files), d.args)
	}
}

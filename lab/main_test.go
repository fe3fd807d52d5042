package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/cli/clitest"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

func lab(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	err := run(ctx, args, func(string) string { return "" }, &out, &errs)
	code = cli.Code("lab", &errs, err)
	return out.String(), errs.String(), code
}

// up starts the program that it is in, as a supervisor. Where a test expects up to fail and
// it does not, that would be these tests, and so on without end.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "supervise" {
		fmt.Fprintln(os.Stderr, "lab: the tests start no lab")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"no command":         {nil, 2, "", "lab: which command?"},
		"unknown command":    {[]string{"upp"}, 2, "", `lab: unknown command "upp"`},
		"help":               {[]string{"help"}, 0, "usage: lab COMMAND", ""},
		"help of a command":  {[]string{"up", "-h"}, 0, "-port-offset", ""},
		"unknown flag":       {[]string{"up", "-x"}, 2, "", "-x"},
		"offset too large":   {[]string{"up", "-port-offset", "40001"}, 2, "", "-port-offset 40001 is out of range: 0 to 40000"},
		"offset negative":    {[]string{"up", "-port-offset", "-1"}, 2, "", "-port-offset -1 is out of range"},
		"offset no number":   {[]string{"up", "-port-offset", "a"}, 2, "", `-port-offset: "a" is not a whole number such as 10`},
		"database":           {[]string{"up", "-db", "mysql://x"}, 2, "", "-db must be memory, sqlite:PATH or postgres://…"},
		"fresh elsewhere":    {[]string{"up", "-fresh", "-db", "postgres://me:secret@h/d"}, 2, "", "-fresh cannot empty the external database postgres://me@h/d"},
		"store no URL":       {[]string{"up", "-store", "localhost:9080"}, 2, "", `-store: "localhost:9080" is not an http:// or https:// URL`},
		"store named twice":  {[]string{"up", "-store", "http://a:1,http://a:1/"}, 2, "", `-store: "http://a:1/" is a duplicate`},
		"store and db":       {[]string{"up", "-store", "http://a:1", "-db", "memory"}, 2, "", "-store and -db exclude each other"},
		"store is proxy":     {[]string{"up", "-port-offset", "5", "-store", "http://127.0.0.1:9075/"}, 2, "", "-store: http://127.0.0.1:9075 is the lab's own proxy"},
		"store is localhost": {[]string{"up", "-store", "http://a:1,http://LocalHost:9070"}, 2, "", "-store: http://LocalHost:9070 is the lab's own proxy"},
		"fresh store":        {[]string{"up", "-fresh", "-store", "http://a:1,http://b:2"}, 2, "", "-fresh cannot empty the external album store at http://a:1,http://b:2"},
		"wait":               {[]string{"up", "-wait", "proxy"}, 2, "", "-wait proxy: must be all or services"},
		"with":               {[]string{"up", "-with", "checkout"}, 2, "", `-with "checkout" is not NAME=COMMAND`},
		"with-url":           {[]string{"up", "-with", "a=x", "-with", "b=y", "-with-url", "http://127.0.0.1:1"}, 2, "", `with 2 -with, it must be NAME=URL`},
		"with-url alone":     {[]string{"up", "-with-url", "http://127.0.0.1:1"}, 2, "", "-with-url is for programs of -with, and there is none"},
		"with-dir alone":     {[]string{"up", "-with-dir", "/"}, 2, "", "-with-dir is for programs of -with, and there is none"},
		"with-dir":           {[]string{"up", "-with", "a=x", "-with-dir", "/no/such"}, 2, "", "-with-dir: stat /no/such: no such file or directory"},
		"with-dir is a file": {[]string{"up", "-with", "a=x", "-with-dir", "main.go"}, 2, "", "main.go is not a folder"},
		"with-timeout":       {[]string{"up", "-with", "a=x", "-with-timeout", "0s"}, 2, "", "-with-timeout 0s is out of range: 1s to 1h"},
		"up argument":        {[]string{"up", "now"}, 2, "", `"now"`},
		"down argument":      {[]string{"down", "now"}, 2, "", `"now"`},
		"log lines":          {[]string{"logs", "-n", "-1"}, 2, "", "-n -1 is out of range: 0 to 100000"},
		"logs of nobody":     {[]string{"logs", "apache"}, 2, "", `"apache"`},
		"restart nobody":     {[]string{"restart"}, 2, "", "lab restart"},
		"verify help":        {[]string{"verify", "-h"}, 0, "-max-series", ""},
		"verify argument":    {[]string{"verify", "now"}, 2, "", `"now"`},
		"verify nothing":     {[]string{"verify", "-env", "moon"}, 2, "", `-env "moon" is not one of native, compose, k8s`},
		"verify elsewhere":   {[]string{"verify", "-namespace", "a"}, 2, "", "-namespace, -release and -context need -env k8s"},
		"verify URL":         {[]string{"verify", "-jaeger", "localhost:16696"}, 2, "", "-jaeger: "},
		"verify rate":        {[]string{"verify", "-rate", "0.5"}, 2, "", "-rate 0.5 is out of range: 1 to 1000"},
		"verify no rate":     {[]string{"verify", "-rate", "NaN"}, 2, "", "-rate NaN is out of range"},
		"verify duration":    {[]string{"verify", "-duration", "9s"}, 2, "", "-duration 9s is out of range: 10s to 10m"},
		"verify too few":     {[]string{"verify", "-rate", "9", "-duration", "11s"}, 2, "", "-rate 9 for -duration 11s is less than 100 requests"},
		"verify patience":    {[]string{"verify", "-patience", "1h"}, 2, "", "-patience 1h0m0s is out of range: 1s to 10m"},
		"verify series":      {[]string{"verify", "-max-series", "0"}, 2, "", "-max-series 0 is out of range: 1 to 10000000"},
		"verify all series":  {[]string{"verify", "-max-total-series", "-1"}, 2, "", "-max-total-series -1 is out of range"},
		"verify format":      {[]string{"verify", "-format", "xml"}, 2, "", `-format "xml" is not text or json`},
		"smoke URL":          {[]string{"smoke", "-url", "localhost:9070"}, 2, "", `-url "localhost:9070" is not an http:// or https:// URL`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := lab(t.Context(), tt.args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("lab %q: code %d, stdout %q, stderr %q; want %d, %q, %q", tt.args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
			if (tt.stdout == "") != (stdout == "") || (tt.stderr == "") != (stderr == "") {
				t.Errorf("lab %q wrote to the wrong stream: stdout %q, stderr %q", tt.args, stdout, stderr)
			}
		})
	}
}

// The lab's proxy is rejected as a store, by any name of this host.
func TestIsProxy(t *testing.T) {
	t.Parallel()
	l := plan.Lab{Offset: 5}
	for address, want := range map[string]bool{
		"http://127.0.0.1:9075": true, "http://localhost:9075": true, "https://LOCALHOST.:9075": true, "http://a.localhost:9075": true,
		"http://[::1]:9075": true, "http://[0:0:0:0:0:0:0:1]:9075": true, "http://[::ffff:127.0.0.1]:9075": true,
		"http://0.0.0.0:9075": true, "http://[::]:9075": true, "http://127.0.0.1:09075/x": true,
		"http://localhost:9070": false, "http://localhost:9080": false, "http://localhost": false, "http://[::1]": false,
		"http://192.168.0.1:9075": false, "http://localhost.example:9075": false, "http://mylocalhost:9075": false, "\x00": false,
	} {
		if got := isProxy(l, address); got != want {
			t.Errorf("isProxy(%q) = %t, want %t", address, got, want)
		}
	}
}

// Commands that need a lab report that there is none.
func TestNotRunning(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"status"}, 1, "", "lab: the lab is not running in "},
		{[]string{"logs"}, 1, "", "lab: the lab is not running in "},
		{[]string{"logs", "jaeger"}, 1, "", "lab: the lab is not running in "},
		{[]string{"restart", "proxy-service"}, 1, "", "lab: the lab is not running: start it with lab up"},
		{[]string{"restart", "checkout"}, 1, "", "lab: the lab is not running: start it with lab up"}, // maybe one of -with
		{[]string{"verify"}, 1, "", "lab: the lab is not running in "},
		{[]string{"down"}, 0, "the lab is not running", ""},
	} {
		dir := t.TempDir()
		args := append([]string{tt.args[0], "-state", filepath.Join(dir, "state")}, tt.args[1:]...)
		stdout, stderr, code := lab(t.Context(), args...)
		if code != tt.code || !strings.HasPrefix(stdout, tt.stdout) || !strings.HasPrefix(stderr, tt.stderr) {
			t.Errorf("lab %q: code %d, stdout %q, stderr %q; want %d, %q, %q", args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("lab %q left %v, %v", args, left, err)
		}
	}
}

// An invalid state folder is reported before any component starts.
func TestStateIsAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"up", "-state", file}, {"up", "-foreground", "-state", file}} {
		if _, stderr, code := lab(t.Context(), args...); code != 1 || !strings.Contains(stderr, file) {
			t.Errorf("lab %q: code %d, stderr %q; want 1 and the folder's name", args, code, stderr)
		}
	}
}

// -fresh deletes the components' data, and nothing else; not while a lab runs.
func TestFresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"data/album-store/albums.db", "data/jaeger/x", "data/mine", "logs/album-store.log"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	l := plan.Lab{State: dir}
	err := supervisor.Clear(l, func() error {
		if _, stderr, code := lab(t.Context(), "up", "-fresh", "-state", dir); code != 1 || !strings.Contains(stderr, "stop it first") {
			t.Errorf("while a supervisor has the folder: code %d, stderr %q", code, stderr)
		}
		return l.Clear()
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"data/album-store": false, "data/jaeger": false, "data/mine": true, "logs/album-store.log": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", name, err, want)
		}
	}
}

// A port in use is reported before any component starts, with the component that needs it.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	var offset int
	for _, p := range (plan.Lab{}).Components() {
		if p.Name == "prometheus" {
			for n := 20000; offset == 0; n += 7 { // some offset whose port we can take
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.Ports[0].Number+n))
				if err == nil {
					defer l.Close()
					offset = n
				}
			}
		}
	}
	dir := t.TempDir()
	_, stderr, code := lab(t.Context(), "up", "-foreground", "-state", dir, "-port-offset", fmt.Sprint(offset))
	if want := fmt.Sprintf("%d", 9090+offset); code != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, "prometheus") {
		t.Errorf("code %d, stderr %q; want 1, port %s and prometheus", code, stderr, want)
	}
	if data, err := os.ReadDir(filepath.Join(dir, "data")); err != nil || len(data) != 0 {
		t.Errorf("something was started: %v, %v", data, err)
	}
}

func TestSmoke(t *testing.T) {
	t.Parallel()
	yes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"a": [1]}`) }))
	t.Cleanup(yes.Close)
	// The success case is in the end-to-end test. This service responds 200 to everything.
	stdout, stderr, code := lab(t.Context(), "smoke", "-url", yes.URL+"/")
	if code != 1 || !strings.HasPrefix(stderr, "lab: 5 of 10 responses were wrong: 3 (GET /albums/X): 200, want 400; ") || strings.Count(stdout, "WRONG, want ") != 5 ||
		!strings.Contains(stdout, " 3  GET  /albums/X \n    200 OK: WRONG, want [400]\n      {\n") {
		t.Errorf("code %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}
	yes.Close()
	if _, stderr, code := lab(t.Context(), "smoke", "-url", yes.URL); code != 1 || !strings.Contains(stderr, "make lab-up") {
		t.Errorf("nobody there: code %d, stderr %q", code, stderr)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, "logs", name+".log") }
	write := func(name string, flag int, text string) {
		t.Helper()
		f, err := os.OpenFile(path(name), flag|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = f.WriteString(text)
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("album-store", 0, "one\ntwo\nthree\n")
	write("proxy-service", 0, "four\n")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"album-store"}, "one\ntwo\nthree\n"},
		{[]string{"-n", "2", "album-store"}, "two\nthree\n"},
		{[]string{"-n", "0", "album-store"}, ""},
		{[]string{"-n", "1", "album-store", "proxy-service"}, "album-store     three\nproxy-service   four\n"},
	} {
		if stdout, stderr, code := lab(t.Context(), append([]string{"logs", "-state", dir}, tt.args...)...); code != 0 || stdout != tt.want {
			t.Errorf("logs %q: code %d, stderr %q, stdout %q, want %q", tt.args, code, stderr, stdout, tt.want)
		}
	}
	if stdout, stderr, code := lab(t.Context(), "logs", "-state", dir, "jaeger"); code != 1 || stdout != "" || !strings.HasPrefix(stderr, "lab: no log of jaeger in "+filepath.Join(dir, "logs")) {
		t.Errorf("a component without a log: code %d, stdout %q, stderr %q", code, stdout, stderr)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out clitest.Output
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"logs", "-f", "-n", "1", "-state", dir, "album-store"}, func(string) string { return "" }, &out, io.Discard)
	}()
	await := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); out.String() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("logs -f shows %q, want %q", out.String(), want)
			}
		}
	}
	await("three\n")
	write("album-store", os.O_APPEND, "fi")
	write("album-store", os.O_APPEND, "ve\nsi")
	await("three\nfive\n")
	write("album-store", os.O_TRUNC, "new\n") // rotated
	await("three\nfive\nnew\n")
	stop()
	if err := <-ended; err != nil {
		t.Errorf("logs -f ends with %v", err)
	}
}

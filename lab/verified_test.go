package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/containers"
	"soundcheck/lab/plan"
)

// fakeLab is a lab in containers.
type fakeLab struct {
	proxy    string
	services []string
}

func (f fakeLab) Proxy() string    { return f.proxy }
func (fakeLab) Prometheus() string { return "http://c:2" }
func (fakeLab) Jaeger() string     { return "http://c:3" }
func (fakeLab) OTLP() string       { return "http://c:4" }
func (fakeLab) Store() string      { return "http://c:5" }
func (f fakeLab) Services() []string {
	return append([]string{"postgres", "prepare", "proxy-service"}, f.services...)
}

// FindCompose needs no build, except of the lab at http://broken: there the build fails.
func (f fakeLab) FindCompose(_ context.Context, log func(string)) error {
	if f.proxy != "http://broken" {
		return nil
	}
	log("building the plugin")
	return errors.New("the build failed")
}

// Logs implements verify.Containers.
func (fakeLab) Logs(context.Context, time.Time, ...string) ([][]byte, error) {
	return nil, errors.New("no logs")
}

// Exec implements verify.Containers.
func (fakeLab) Exec(context.Context, string, ...string) ([]byte, error) {
	return nil, errors.New("no command")
}

// opened opens a lab at an offset.
func (f fakeLab) opened(offset int) composeOpener {
	return func(_ context.Context, _, _ string, n int, onlyStore bool) (composeLab, error) {
		if n != offset || onlyStore != (f.proxy == "") {
			return nil, containers.ErrNone
		}
		return f, nil
	}
}

// failing returns an opener that returns this error.
func failing(err error) composeOpener {
	return func(context.Context, string, string, int, bool) (composeLab, error) { return nil, err }
}

var noDocker = failing(containers.Unavailable("there is no docker command"))

// found parses the flags of lab verify, finds the lab, and returns its URLs and logs.
func found(t *testing.T, open composeOpener, args ...string) string {
	t.Helper()
	f := newVerifyFlags()
	err := f.Parse(args, func(string) string { return "" }, io.Discard)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := f.lab()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	if err := f.find(t.Context(), l, open); err != nil {
		return "error: " + err.Error()
	}
	if err := f.sources(t.Context(), l); err != nil {
		return "error: " + err.Error()
	}
	text := strings.Join([]string{f.o.Proxy, f.o.Prometheus, f.o.Jaeger, f.o.Generator.OTLP}, " ")
	for _, source := range f.o.Logs {
		text += fmt.Sprintf(", %s (%T)", source.Name(), source)
	}
	for _, no := range f.o.NoLogs {
		text += fmt.Sprintf(", no %s: %s", no.Log, no.Why)
	}
	if f.o.StoreElsewhere {
		text += ", store elsewhere"
	}
	return strings.ReplaceAll(text, "*verify.", "")
}

// Everything about the lab in containers has a default, and flags override it.
func TestVerifyCompose(t *testing.T) {
	t.Parallel()
	c := fakeLab{"http://c:1", []string{"otel-collector", "album-store-2", "album-store-1"}}
	limited := fakeLab{"http://c:1", []string{"otel-collector"}}
	folder := t.TempDir()
	state := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(filepath.Join(folder, "album-store.log"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const (
		logs = ", proxy-service (containers), album-store-1, album-store-2 (containers), Collector log records (containerRecords)"
		all  = "-proxy http://a:1/ -prometheus http://a:2 -jaeger http://a:3 -otlp http://a:4"
	)
	for _, tt := range []struct {
		about string
		open  composeOpener
		args  string
		want  string
	}{
		{"all known", c.opened(0), "", "http://c:1 http://c:2 http://c:3 http://c:4" + logs},
		{"moved", c.opened(7), "-port-offset 7", "http://c:1 http://c:2 http://c:3 http://c:4" + logs},
		{"some given", c.opened(0), "-prometheus http://a:2/ -otlp http://a:4", "http://c:1 http://a:2 http://c:3 http://a:4" + logs},
		{"its proxy given", c.opened(0), "-proxy http://c:1/", "http://c:1 http://c:2 http://c:3 http://c:4" + logs},
		{"another proxy", c.opened(0), "-proxy http://a:1", "http://a:1 http://c:2 http://c:3 http://c:4, no : no log location is known for -env compose at http://a:1: set -logs"},
		{"another machine", fakeLab{}.opened(9), all, "http://a:1 http://a:2 http://a:3 http://a:4, no : no log location is known for -env compose at http://a:1: set -logs (no lab in Docker Compose: start it with go run ./compose up)"},
		{"its folder", fakeLab{}.opened(9), all + " -logs " + folder, "http://a:1 http://a:2 http://a:3 http://a:4, proxy-service.log (file), album-store.log (file), Collector log records (file)"},
		{"a log given", c.opened(0), "-logs " + folder, "http://c:1 http://c:2 http://c:3 http://c:4, proxy-service (containers), album-store.log (file), Collector log records (containerRecords)"},
		{"limited", limited.opened(0), "", "http://c:1 http://c:2 http://c:3 http://c:4, proxy-service (containers), Collector log records (containerRecords), no album-store: it runs in no container: set -logs to a folder with its album-store.log, store elsewhere"},
		{"limited with a log", limited.opened(0), "-logs " + folder, "http://c:1 http://c:2 http://c:3 http://c:4, proxy-service (containers), album-store.log (file), Collector log records (containerRecords), store elsewhere"},
		{"none", c.opened(7), "-proxy http://a:1", "error: no lab in Docker Compose: start it with go run ./compose up, or set the URLs of another machine's lab: -prometheus -jaeger -otlp"},
		{"no Docker", noDocker, "-proxy http://a:1", "error: there is no docker command"},
		{"no Docker, another machine", noDocker, all, "http://a:1 http://a:2 http://a:3 http://a:4, no : no log location is known for -env compose at http://a:1: set -logs (there is no docker command)"},
		{"all given, another checkout's", failing(errors.New("project soundcheck belongs to another lab")), all, "error: project soundcheck belongs to another lab"},
		{"all given, interrupted", failing(context.Canceled), all, "error: context canceled"},
		{"given wrong", c.opened(0), "-otlp h:4318", "error: -otlp: "},
	} {
		t.Run(tt.about, func(t *testing.T) {
			t.Parallel()
			got := found(t, tt.open, append([]string{"-env", "compose", "-state", state}, strings.Fields(tt.args)...)...)
			if got != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Without a native lab the error has a hint about the one in containers, if that runs.
func TestVerifyHint(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(proxy.Close)
	state := filepath.Join(t.TempDir(), "state")
	none := "error: the lab is not running in " + state + ": start it with lab up"
	runs := none + "; a lab in containers is up, with its proxy at " + proxy.URL + ": verify it with lab verify -env compose"
	own := " -state " + state
	for _, tt := range []struct {
		about string
		open  composeOpener
		args  []string
		want  string
	}{
		{"none", fakeLab{}.opened(9), nil, none},
		{"it runs", fakeLab{proxy: proxy.URL}.opened(0), nil, runs + own},
		{"moved", fakeLab{proxy: proxy.URL}.opened(7), []string{"-port-offset", "7"}, runs + " -port-offset 7" + own},
		{"ended", fakeLab{proxy: "http://127.0.0.1:1"}.opened(0), nil, none},
		{"no URL", fakeLab{proxy: "\x00"}.opened(0), nil, none},
	} {
		t.Run(tt.about, func(t *testing.T) {
			t.Parallel()
			if got := found(t, tt.open, append(tt.args, "-state", state)...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	l := plan.Lab{Root: "/r", State: "/r/.lab"}
	if got := instead(t.Context(), l, fakeLab{proxy: proxy.URL}.opened(0)); !strings.HasSuffix(got, " -env compose") {
		t.Errorf("the state folder that is the default is named: %s", got)
	}
}

// The log of a store that is not the native lab's is not the one that an earlier store of
// the lab has left behind.
func TestVerifyExternalStore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	const urls = "http://127.0.0.1:9070 http://127.0.0.1:9090 http://127.0.0.1:16696 http://127.0.0.1:4318, proxy-service.log (file), "
	given := []string{"-proxy", "http://127.0.0.1:9070", "-prometheus", "http://127.0.0.1:9090", "-jaeger", "http://127.0.0.1:16696", "-otlp", "http://127.0.0.1:4318"}
	localhost := append(slices.Clone(given), "-proxy", "http://localhost:9070")
	another := append(slices.Clone(given), "-proxy", "http://h:9070")
	const ours = "album-store.log (file), Collector log records (file)"
	const elsewhere = urls + "Collector log records (file), no album-store.log: the album store is external, at http://h:1: set -logs to a folder with its log, store elsewhere"
	own := noStore(t)
	state := noStore(t, "http://h:1")
	stopped := t.TempDir()
	if err := os.WriteFile(filepath.Join(stopped, "state.json"), []byte(`{"stores":["http://h:1"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	inContainer := fakeLab{services: []string{"album-store-1"}}
	contained := noStore(t, inContainer.Store())
	for _, tt := range []struct {
		about string
		state string
		args  []string
		want  string
	}{
		{"ours", own, nil, urls + ours},
		{"elsewhere", state, nil, elsewhere},
		{"all given", state, given, elsewhere},
		{"all given, in other words", state, localhost, strings.Replace(elsewhere, "127.0.0.1:9070", "localhost:9070", 1)},
		{"all given, but stopped", stopped, given, urls + ours},
		{"all given, of another", state, another, strings.Replace(urls, "127.0.0.1:9070", "h:9070", 1) + ours},
		{"another proxy", state, []string{"-proxy", "http://h:9070"}, strings.Replace(urls, "127.0.0.1:9070", "h:9070", 1) + ours},
		{"in a container", contained, nil, urls + "album-store-1 (containers), Collector log records (file), store elsewhere"},
		{"in a container, with a log", contained, []string{"-logs", folder}, urls + "album-store.log (file), Collector log records (file), store elsewhere"},
		{"with a log", state, []string{"-logs", folder}, urls + "album-store.log (file), Collector log records (file), store elsewhere"},
		{"another offset", state, []string{"-port-offset", "3"}, "error: the lab in " + state + " runs with -port-offset 0, not 3: select another lab with -state"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			t.Parallel()
			if got := found(t, inContainer.opened(0), append(slices.Clone(tt.args), "-state", tt.state)...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// The lab is found without the Compose plugin, whose build takes minutes.
func TestVerifyFindsWithoutCompose(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	dir := t.TempDir()
	state, calls := filepath.Join(dir, "state"), filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$*\" >>" + calls + `
case "$1" in
ps) printf '1\trunning\tUp\t\tproxy-service\tFalse\t\t/r/compose/compose.yaml\t.\n' ;;
compose) exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	c, err := openCompose(t.Context(), "/r", state, plan.MaxOffset, false)
	if want := fmt.Sprintf("http://127.0.0.1:%d", plan.ProxyPort+plan.MaxOffset); err != nil || c.Proxy() != want {
		t.Errorf("%v, %v, want %s", c, err, want)
	}
	if b, err := os.ReadFile(calls); err != nil || strings.Contains(string(b), "compose version") {
		t.Errorf("docker was called with\n%s%v", b, err)
	}
}

// Containers' logs need the plugin: its build is logged, and its error is that of verify.
func TestVerifyNeedsCompose(t *testing.T) {
	stderr := os.Stderr
	t.Cleanup(func() { os.Stderr = stderr })
	var err error
	if os.Stderr, err = os.Create(filepath.Join(t.TempDir(), "stderr")); err != nil {
		t.Fatal(err)
	}
	defer os.Stderr.Close()
	got := found(t, fakeLab{proxy: "http://broken"}.opened(0), "-env", "compose", "-state", t.TempDir())
	if got != "error: the build failed" {
		t.Error(got)
	}
	if b, err := os.ReadFile(os.Stderr.Name()); err != nil || string(b) != "building the plugin\n" {
		t.Errorf("%q, %v", b, err)
	}
}

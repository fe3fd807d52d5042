package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/containers"
	"soundcheck/lab/plan"
)

// fake is a docker command that logs its calls in CALLS. Docker compose up makes containers
// that are healthy; it fails or waits if there is a file of that name.
const fake = `#!/bin/sh
echo "$*" >>"$CALLS"
row() { printf '%s\t%s\t%s\t\t%s\tFalse\t\t%s\t.\n' "$@" "$(cat "$CALLS.files")"; }
case "$*" in
version*) echo linux/amd64; exit ;;
"compose version"*) echo v5.5.0; exit ;;
"ps --all"*)
	if [ ! -e "$CALLS.files" ]; then exit; fi
	health=healthy
	if [ -e "$CALLS.fail" ]; then health=unhealthy; fi
	row 1 exited 'Exited (0) 2 seconds ago' prepare
	row 2 running "Up 2 seconds ($health)" proxy-service
	row 3 running 'Up 2 seconds (healthy)' postgres
	if [ -e "$CALLS.strays" ]; then row 4 running 'Up 9 seconds' nginx; fi
	exit ;;
"volume ls"*) cat "$CALLS.owner" 2>/dev/null; exit 0 ;;
"volume create"*) echo "${4#*=}" >"$CALLS.owner"; exit ;;
"volume rm"*) rm "$CALLS.owner"; exit ;;
rm*) exit ;;
esac
shift # compose
files=
while :; do
	case "$1" in
	--file) files=$files${files:+,}$2; shift 2 ;;
	--project-name | --project-directory | --profile) shift 2 ;;
	*) break ;;
	esac
done
if [ -e "$CALLS.wait" ]; then
	case "$1" in up) echo "$files" >"$CALLS.files" ;; esac
	echo waiting >"$CALLS.waiting"
	exec sleep 3600
fi
case "$1" in
down) rm -f "$CALLS.files" ;;
up)
	if [ -e "$CALLS.nothing" ]; then exit 1; fi
	echo "$files" >"$CALLS.files"
	if [ -e "$CALLS.fail" ]; then echo "container x is unhealthy" >&2; exit 1; fi ;;
exec) cat; exit 7 ;;
esac
`

// lab is a state folder with a fake docker.
type lab struct {
	t     *testing.T
	state string
	calls string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	l := &lab{t, filepath.Join(dir, "state"), filepath.Join(dir, "calls")}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("CALLS", l.calls)
	t.Setenv("DOCKER_HOST", "tcp://192.0.2.1:2375") // no port is looked at
	return l
}

// run runs compose, with the flag of the state.
func (l *lab) run(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	var out, errs bytes.Buffer
	getenv := func(string) string { return "" }
	err := run(ctx, append([]string{"-state", l.state}, args...), getenv, &out, &errs)
	code = cli.Code("compose", &errs, err) // which writes
	return out.String(), errs.String(), code
}

// called returns the last call of docker that has a word in it.
func (l *lab) called(word string) string {
	l.t.Helper()
	b, err := os.ReadFile(l.calls)
	if err != nil {
		l.t.Fatal(err)
	}
	last := ""
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, word) {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

func (l *lab) touch(name string) {
	l.t.Helper()
	if err := os.WriteFile(l.calls+name, nil, 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func TestUpDown(t *testing.T) {
	l := newLab(t)
	if _, stderr, code := l.run(t.Context(), "ps"); code != 1 || !strings.Contains(stderr, "no lab in Docker Compose") {
		t.Errorf("ps before up: %d, %s", code, stderr)
	}
	out, stderr, code := l.run(t.Context(), "up", "-port-offset", "100")
	if code != 0 {
		t.Fatalf("up: %d, %s", code, stderr)
	}
	if strings.Index(out, "postgres ") > strings.Index(out, "proxy-service ") || strings.Contains(out, "prepare") {
		t.Errorf("the table is not in the order of the services, without prepare:\n%s", out)
	}
	own := " -state " + l.state + " -port-offset 100 "
	for _, want := range []string{"proxy-service  healthy  http://127.0.0.1:9170", "open http://127.0.0.1:3100 in", "curl http://127.0.0.1:9170/albums/1",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4418 go run ./datagen -n 1000 -url http://127.0.0.1:9170", "go run ./compose" + own + "ps"} {
		if !strings.Contains(out, want) {
			t.Errorf("up does not say %q:\n%s", want, out)
		}
	}
	if got := l.called(" up "); !strings.HasSuffix(got, "compose.yaml up --detach --wait --remove-orphans --wait-timeout 300") {
		t.Errorf("docker %s", got)
	}
	if _, _, code := l.run(t.Context(), "-port-offset", "100", "exec", "postgres", "true"); code != 7 {
		t.Errorf("a command's exit code is %d, want 7", code)
	}
	if got := l.called(" exec "); !strings.Contains(got, "--project-name soundcheck-100 ") || !strings.HasSuffix(got, " exec postgres true") {
		t.Errorf("docker %s", got)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"down", "-port-offset", "100"}, " --profile * down --remove-orphans"},
		{[]string{"-port-offset", "100", "down", "-volumes"}, " --profile * down --remove-orphans --volumes"}, // though nothing is up
	} {
		if _, stderr, code := l.run(t.Context(), tt.args...); code != 0 || !strings.HasSuffix(l.called(" down "), tt.want) {
			t.Errorf("%q: %d, %s, docker %s", tt.args, code, stderr, l.called(" down "))
		}
		if _, stderr, code := l.run(t.Context(), "-port-offset", "100", "ps"); code != 1 || stderr != "compose: "+containers.ErrNone.Error()+"\n" {
			t.Errorf("ps after %q: %d, %s", tt.args, code, stderr)
		}
	}
}

func TestFreshAndOptions(t *testing.T) {
	l := newLab(t)
	out, stderr, code := l.run(t.Context(), "up", "-fresh", "-limited", "-edge", "-console", "-timeout", "10s")
	if code != 0 {
		t.Fatalf("%d, %s", code, stderr)
	}
	if got := l.called(" down "); !strings.HasSuffix(got, "down --volumes --remove-orphans") {
		t.Errorf("-fresh: docker %s", got)
	}
	if got := l.called(" up "); !strings.Contains(got, "limited.yaml --profile console --profile edge up ") {
		t.Errorf("docker %s", got)
	}
	for _, want := range []string{"OTEL_METRIC_EXPORT_INTERVAL=5000\n  go run ./store -addr " + bridge() + ":9080 -db sqlite:/tmp/albums.db", "curl http://127.0.0.1:8070/albums/1"} {
		if !strings.Contains(out, want) {
			t.Errorf("up does not say %q:\n%s", want, out)
		}
	}
	if out, stderr, code := l.run(t.Context(), "up", "-only-store"); code != 0 || !strings.Contains(out, "go run ./lab up -otlp-everywhere -store http://127.0.0.1:9080") {
		t.Errorf("-only-store: %d, %s\n%s", code, stderr, out)
	}
}

func TestUnhealthy(t *testing.T) {
	l := newLab(t)
	l.touch(".fail")
	_, stderr, code := l.run(t.Context(), "up")
	if want := "compose: proxy-service is unhealthy: see go run ./compose -state " + l.state + " logs proxy-service\n"; code != 1 || !strings.HasSuffix(stderr, want) {
		t.Errorf("%d, %s, want %s", code, stderr, want)
	}
	// What was started can be looked at and stopped.
	if _, stderr, code := l.run(t.Context(), "ps"); code != 0 {
		t.Errorf("ps: %d, %s", code, stderr)
	}
}

func TestInterruptedBeforeTheStart(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, stderr, code := l.run(ctx, "up"); code != 130 || stderr != "compose: interrupted\n" {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestNoContainerStarted(t *testing.T) {
	l := newLab(t)
	l.touch(".nothing")
	if _, stderr, code := l.run(t.Context(), "up"); code != 1 || !strings.Contains(stderr, "compose: no container was started, ") || !strings.Contains(stderr, "-images local") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func TestInterrupted(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"up", "interrupted; some services are running: stop them with go run ./compose -state STATE down"},
		{"up -fresh", "interrupted while deleting the old lab; some containers and data may remain: resume with go run ./compose -state STATE up -fresh, " +
			"or delete them with go run ./compose -state STATE down -volumes"},
	} {
		l := newLab(t)
		l.touch(".wait")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				if _, err := os.Stat(l.calls + ".waiting"); err == nil {
					cancel()
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		begun := time.Now()
		_, stderr, code := l.run(ctx, strings.Fields(tt.args)...)
		if want := strings.ReplaceAll(tt.want, "STATE", l.state) + "\n"; code != 130 || !strings.HasSuffix(stderr, want) {
			t.Errorf("%s: %d, %s, want %s", tt.args, code, stderr, want)
		}
		if took := time.Since(begun); took > 5*time.Minute {
			t.Errorf("an interrupt took %s", took)
		}
		if err := os.Remove(l.calls + ".wait"); err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := l.run(t.Context(), "down"); code != 0 {
			t.Errorf("what runs on cannot be stopped: %d, %s", code, stderr)
		}
	}
}

// One line each, before anything is started.
func TestFlagConflicts(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"up", "-images", "mine"}, `-images "mine" is not official or local`, 2},
		{[]string{"up", "-edge", "-images", "local"}, "-edge needs nginx's image from a registry: remove -images local", 2},
		{[]string{"up", "-only-store", "-limited"}, "-only-store excludes -limited, -edge and -console", 2},
		{[]string{"up", "-timeout", "1s"}, "-timeout 1s is out of range: 10s to 1h", 2},
		{[]string{"up", "-port-offset", "40001"}, "-port-offset 40001 is out of range: 0 to 40000", 2},
		{[]string{"-port-offset", "-1", "ps"}, "-port-offset -1 is out of range: 0 to 40000", 2},
		{[]string{"up", "proxy"}, `unexpected argument "proxy"`, 2},
		{[]string{"down", "all"}, `unexpected argument "all"`, 2},
		{[]string{}, "which command?", 2},
	} {
		_, stderr, code := l.run(t.Context(), tt.args...)
		if line, _, _ := strings.Cut(stderr, "\n"); code != tt.code || line != "compose: "+tt.want {
			t.Errorf("%q: %d, %s, want %d, %s", tt.args, code, line, tt.code, tt.want)
		}
	}
	if _, err := os.Stat(l.calls); err == nil {
		t.Errorf("docker was called: %s", l.called(""))
	}
}

func TestPortInUse(t *testing.T) {
	l := newLab(t)
	t.Setenv("DOCKER_HOST", "")
	// The port of one's own offset: nothing else of the lab is there.
	port := 9080 + plan.MaxOffset
	var taken net.Listener
	for { // whichever can be had
		var err error
		if taken, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			break
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
		port--
	}
	defer taken.Close()
	_, stderr, code := l.run(t.Context(), "up", "-only-store", "-port-offset", fmt.Sprint(port-9080))
	want := fmt.Sprintf("compose: port %d (the album store) is in use: stop the process that listens there (native lab: go run ./lab down), or use another -port-offset\n", port)
	if code != 1 || stderr != want {
		t.Errorf("%d, %s, want %s", code, stderr, want)
	}
	if got := l.called(" up "); got != "" {
		t.Errorf("it was started all the same: docker %s", got)
	}
}

func TestImagesFromEnvironment(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "official", "local": "local", "official": "official"} {
		if f := newUpFlags(func(string) string { return value }); f.o.Images != want {
			t.Errorf("IMAGES=%s: %s, want %s", value, f.o.Images, want)
		}
	}
}

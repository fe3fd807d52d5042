package verify

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeDocker is docker compose for containers whose files are in a folder: what each
// service wrote is in SERVICE, and the Collector's /logs is logs. internal/e2e uses the real
// docker compose.
type fakeDocker struct{ dir string }

const fakeScript = `cd "$1" && shift || exit 1
echo "$*" >>calls
if [ -e do ]; then . ./do; fi
case "$1" in
logs)
	[ "$2 $3 $4" = "--no-log-prefix --no-color --since" ] || { echo "unknown flag: $2 $3 $4" >&2; exit 16; }
	date -d "$5" >/dev/null || exit 1
	shift 5
	for s; do [ -e "$s" ] || { echo "no such service: $s" >&2; exit 1; }; cat "$s"; done ;;
exec)
	[ "$2 $3 $4" = "-T otel-collector /tools/labtool" ] || { echo "service \"$3\" is not running" >&2; exit 1; }
	case "$5" in
	ls) for f in ".$6"/*; do printf '{"name":"%s","size":%d,"modified":"2026-01-31T12:00:00Z"}\n' "${f##*/}" "$(wc -c <"$f")"; done ;;
	cat) tail -c +$(($7 + 1)) ".$6" ;;
	esac ;;
*) echo "unknown docker command: $1" >&2; exit 16 ;;
esac
`

func newFakeDocker(t *testing.T) fakeDocker {
	t.Helper()
	d := fakeDocker{t.TempDir()}
	if err := errors.Join(os.Mkdir(d.path("logs"), 0o755), os.WriteFile(d.path("script"), []byte(fakeScript), 0o644)); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d fakeDocker) path(name string) string { return filepath.Join(d.dir, name) }

func (d fakeDocker) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Command implements Compose.
func (d fakeDocker) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", append([]string{d.path("script"), d.dir}, args...)...)
}

// told returns the traces of a source's lines, with their services, or its error.
func told(t *testing.T, s LogSource) string {
	t.Helper()
	list, err := s.Lines(t.Context())
	if err != nil {
		return err.Error()
	}
	var traces []string
	for _, l := range list {
		if l.Message != requestLine || l.SpanID != "s" {
			t.Errorf("%+v", l)
		}
		traces = append(traces, l.Service+":"+l.TraceID)
	}
	return strings.Join(traces, " ")
}

func serviceJSON(service, trace string) string {
	return `{"msg":"request","service.name":"` + service + `","trace_id":"` + trace + `","span_id":"s"}` + "\n"
}

// The lines of several containers of a service are one log; each line has its service.
func TestContainerLog(t *testing.T) {
	t.Parallel()
	d := newFakeDocker(t)
	s := ContainerLog(d, storeService, "album-store-1", "album-store-2")
	if s.Name() != "album-store-1, album-store-2" || !s.Has(storeService) || s.Has(proxyService) {
		t.Errorf("%s has the store's: %v, the proxy's: %v", s.Name(), s.Has(storeService), s.Has(proxyService))
	}
	if got := told(t, s); !strings.Contains(got, "logs of album-store-1, album-store-2: docker compose logs ") || !strings.Contains(got, "exit status 1: no such service: album-store-1") {
		t.Errorf("without containers: %s", got)
	}
	d.write(t, "album-store-1", serviceJSON(storeService, "a")+"panic: gone\n\n")
	d.write(t, "album-store-2", serviceJSON("somebody", "b")+`{"half`)
	if got := told(t, s); got != "album-store:a somebody:b" {
		t.Errorf("lines %q, want those of a and b", got)
	}
	d.write(t, "album-store-2", "{no json\n")
	if got := told(t, s); !strings.Contains(got, "logs of album-store-1, album-store-2: \"{no json") {
		t.Errorf("a line that is no JSON: %s", got)
	}
}

// What the Collector writes after the source is made counts, also after its file was
// rotated, once or more often.
func TestContainerRecords(t *testing.T) {
	t.Parallel()
	record := func(trace string) string {
		return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"x"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"request"},"flags":1,"traceId":"` + trace + `","spanId":"s"}]}]}]}` + "\n"
	}
	d := newFakeDocker(t)
	d.write(t, "logs/other.jsonl", "{no json\n")
	fresh := ContainerRecords(t.Context(), d)
	if got := told(t, fresh); !strings.Contains(got, "cat /logs/otlp.jsonl 0: exit status 1: ") {
		t.Errorf("without a file: %s", got)
	}
	d.write(t, "logs/otlp-2026-01-31T10-00-00.000.jsonl", record("long ago"))
	d.write(t, "logs/otlp.jsonl", record("before"))
	s := ContainerRecords(t.Context(), d)
	d.write(t, "logs/otlp.jsonl", record("before")+record("a")+`{"half`)
	if got := told(t, s); got != "x:a" {
		t.Errorf("lines %q, want a", got)
	}
	d.write(t, "logs/otlp.jsonl", record("b")[:20])
	if got := told(t, s); !strings.Contains(got, "otlp.jsonl was truncated from ") {
		t.Errorf("a file that was cut: %s", got)
	}
	// The new one may be larger than the old one was.
	d.write(t, "logs/otlp-2026-01-31T12-00-00.000.jsonl", record("before")+record("a"))
	d.write(t, "logs/otlp.jsonl", record("b")+record("c")+record("d"))
	if got := told(t, s); got != "x:a x:b x:c x:d" {
		t.Errorf("lines after the rotation %q, want a to d", got)
	}
	d.write(t, "logs/otlp-2026-01-31T13-00-00.000.jsonl", record("b"))
	d.write(t, "logs/otlp.jsonl", record("c"))
	if got := told(t, s); got != "x:a x:b x:c" {
		t.Errorf("lines after the second rotation %q, want a to c", got)
	}
	d.write(t, "logs/otlp.jsonl", "{no json\n")
	if got := told(t, s); !strings.Contains(got, "no json") {
		t.Errorf("a line that is no JSON: %s", got)
	}
}

// Errors of docker are reported with its output.
func TestDockerFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ do, want string }{
		"daemon is down":  {`echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock" >&2; exit 1`, "exit status 1: Cannot connect to the Docker daemon"},
		"killed":          {`kill -KILL $$`, "signal: killed"},
		"says very much":  {`yes no >&2 & sleep 0.1; kill $!; exit 3`, "exit status 3: "},
		"no list":         {`[ "$1" = logs ] || { echo usage; exit 0; }; echo '{' ; exit 0`, ""},
		"list of nothing": {`[ "$1" = logs ] || { echo '{"name":"otlp.jsonl"}'; exit 0; }; echo '{' ; exit 0`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFakeDocker(t)
			d.write(t, "do", tt.do)
			if got := told(t, ContainerRecords(t.Context(), d)); !strings.Contains(got, "before the load: Collector log records: ") || !strings.Contains(got, tt.want) || len(got) > 1000 {
				t.Errorf("records: %.1000s, want %q", got, tt.want)
			}
			if got := told(t, ContainerLog(d, storeService, "album-store-1")); !strings.Contains(got, "logs of album-store-1: ") || !strings.Contains(got, tt.want) || len(got) > 1000 {
				t.Errorf("log: %.1000s, want %q", got, tt.want)
			}
		})
	}
	gone := ContainerLog(missingDocker{}, storeService, "album-store-1")
	if got := told(t, gone); !strings.Contains(got, "no such file") {
		t.Errorf("without docker: %s", got)
	}
}

type missingDocker struct{}

// Command implements Compose.
func (missingDocker) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "/nonexistent/docker", args...)
}

// hangs starts a process that holds docker's output open for 20 s, or until the test ends.
const hangs = `{ i=0; until [ -e over ] || [ $i = 200 ]; do sleep 0.1; i=$((i+1)); done; : >ended; } &
: >begun; wait`

// A docker command that hangs times out, even if its child process does not exit. Output over
// the limit is not read.
func TestDockerIsBounded(t *testing.T) { // not parallel: it sets the time, and how much is read
	defer func(d time.Duration, n int) { commandTimeout, maxResponse = d, n }(commandTimeout, maxResponse)
	d := newFakeDocker(t)
	there := func(name string) bool { _, err := os.Stat(d.path(name)); return err == nil }
	s := ContainerLog(d, storeService, "album-store-1")
	d.write(t, "do", hangs)
	for commandTimeout = 200 * time.Millisecond; !there("begun"); commandTimeout *= 2 { // longer if docker did not come so far
		if got := told(t, s); !strings.Contains(got, "docker compose does not respond: context deadline exceeded") {
			t.Fatalf("docker hangs: %s", got)
		}
	}
	if there("ended") {
		t.Error("what docker had started was waited for")
	}
	d.write(t, "over", "")
	for deadline := time.Now().Add(5 * time.Minute); !there("ended") && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	commandTimeout, maxResponse = time.Minute, 1<<20
	d.write(t, "do", "exec yes no")
	if got := told(t, s); got != "logs of album-store-1: more than 1 MiB" {
		t.Errorf("endless: %.300s", got)
	}
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fakeContainers keep their files in a folder: what each container wrote is in NAME, and the
// Collector's /logs in NAME-logs. lab/containers and lab/kube test the real commands.
type fakeContainers struct {
	dir string
	err error // of every call
}

func newFakeContainers(t *testing.T, collectors ...string) *fakeContainers {
	t.Helper()
	d := &fakeContainers{dir: t.TempDir()}
	for _, name := range collectors {
		if err := os.Mkdir(d.path(name+"-logs"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *fakeContainers) path(name string) string { return filepath.Join(d.dir, name) }

func (d *fakeContainers) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Logs implements Containers.
func (d *fakeContainers) Logs(_ context.Context, since time.Time, names ...string) (parts [][]byte, err error) {
	if age := time.Since(since); d.err == nil && (age < margin || age > time.Hour) {
		return nil, fmt.Errorf("since %s", since)
	}
	for _, name := range names {
		b, err := os.ReadFile(d.path(name))
		if err = errors.Join(d.err, err); err != nil {
			return nil, err
		}
		parts = append(parts, b)
	}
	return parts, nil
}

// Exec implements Containers.
func (d *fakeContainers) Exec(_ context.Context, name string, args ...string) ([]byte, error) {
	if args[0] != containerTool || d.err != nil {
		return nil, errors.Join(d.err, fmt.Errorf("%q", args))
	}
	path := func(in string) string { return d.path(name + "-" + strings.TrimPrefix(in, "/")) }
	switch args[1] {
	case "ls":
		entries, err := os.ReadDir(path(args[2]))
		if err != nil {
			return nil, err
		}
		out := ""
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			out += fmt.Sprintf(`{"name":%q,"size":%d,"modified":"2026-01-31T12:00:00Z"}`+"\n", info.Name(), info.Size())
		}
		return []byte(out), nil
	case "cat":
		b, err := os.ReadFile(path(args[2]))
		from, err2 := strconv.Atoi(args[3])
		if err = errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("cat %s %s: %w", args[2], args[3], err)
		}
		return b[min(from, len(b)):], nil
	}
	return nil, fmt.Errorf("unknown command %q", args)
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

func recordJSON(trace string) string {
	return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"x"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"request"},"flags":1,"traceId":"` + trace + `","spanId":"s"}]}]}]}` + "\n"
}

func serviceJSON(service, trace string) string {
	return `{"msg":"request","service.name":"` + service + `","trace_id":"` + trace + `","span_id":"s"}` + "\n"
}

// The lines of several containers of a service are one log; each line has its service.
func TestContainerLog(t *testing.T) {
	t.Parallel()
	d := newFakeContainers(t)
	s := ContainerLog(d, storeService, "album-store-1", "album-store-2")
	if s.Name() != "album-store-1, album-store-2" || !s.Has(storeService) || s.Has(proxyService) {
		t.Errorf("%s has the store's: %v, the proxy's: %v", s.Name(), s.Has(storeService), s.Has(proxyService))
	}
	if got := told(t, s); !strings.HasPrefix(got, "logs of album-store-1, album-store-2: open ") {
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
	const collector = "otel-collector"
	d := newFakeContainers(t, collector)
	d.write(t, "otel-collector-logs/other.jsonl", "{no json\n")
	fresh := ContainerRecords(t.Context(), d, collector)
	if got := told(t, fresh); !strings.Contains(got, "cat /logs/otlp.jsonl 0: open ") {
		t.Errorf("without a file: %s", got)
	}
	d.write(t, "otel-collector-logs/otlp-2026-01-31T10-00-00.000.jsonl", recordJSON("long ago"))
	d.write(t, "otel-collector-logs/otlp.jsonl", recordJSON("before"))
	s := ContainerRecords(t.Context(), d, collector)
	d.write(t, "otel-collector-logs/otlp.jsonl", recordJSON("before")+recordJSON("a")+`{"half`)
	if got := told(t, s); got != "x:a" {
		t.Errorf("lines %q, want a", got)
	}
	d.write(t, "otel-collector-logs/otlp.jsonl", recordJSON("b")[:20])
	if got := told(t, s); !strings.Contains(got, "otlp.jsonl was truncated from ") {
		t.Errorf("a file that was cut: %s", got)
	}
	// The new one may be larger than the old one was.
	d.write(t, "otel-collector-logs/otlp-2026-01-31T12-00-00.000.jsonl", recordJSON("before")+recordJSON("a"))
	d.write(t, "otel-collector-logs/otlp.jsonl", recordJSON("b")+recordJSON("c")+recordJSON("d"))
	if got := told(t, s); got != "x:a x:b x:c x:d" {
		t.Errorf("lines after the rotation %q, want a to d", got)
	}
	d.write(t, "otel-collector-logs/otlp-2026-01-31T13-00-00.000.jsonl", recordJSON("b"))
	d.write(t, "otel-collector-logs/otlp.jsonl", recordJSON("c"))
	if got := told(t, s); got != "x:a x:b x:c" {
		t.Errorf("lines after the second rotation %q, want a to c", got)
	}
	d.write(t, "otel-collector-logs/otlp.jsonl", "{no json\n")
	if got := told(t, s); !strings.Contains(got, "no json") {
		t.Errorf("a line that is no JSON: %s", got)
	}
}

// Several Collectors share the records.
func TestContainerRecordsOfSeveral(t *testing.T) {
	t.Parallel()
	d := newFakeContainers(t, "c-0", "c-1")
	s := ContainerRecords(t.Context(), d, "c-0", "c-1")
	d.write(t, "c-0-logs/otlp.jsonl", recordJSON("a"))
	d.write(t, "c-1-logs/otlp.jsonl", recordJSON("b"))
	if got := told(t, s); got != "x:a x:b" {
		t.Errorf("lines %q, want a and b", got)
	}
}

// Errors of the containers are reported with what was read.
func TestContainersFail(t *testing.T) {
	t.Parallel()
	d := newFakeContainers(t, "c")
	for name, list := range map[string]string{"no list": "usage\n", "list of nothing": `{"name":"otlp.jsonl"}` + "\n"} {
		r := ContainerRecords(t.Context(), says{d, list}, "c")
		if got := told(t, r); !strings.HasPrefix(got, "before the load: Collector log records: /tools/labtool printed ") {
			t.Errorf("%s: %s", name, got)
		}
	}
	d.err = errors.New("the daemon is down")
	if got := told(t, ContainerRecords(t.Context(), d, "c")); !strings.HasPrefix(got, "before the load: Collector log records: the daemon is down") {
		t.Errorf("records: %s", got)
	}
	if got := told(t, ContainerLog(d, storeService, "s")); !strings.HasPrefix(got, "logs of s: the daemon is down") {
		t.Errorf("log: %s", got)
	}
}

// says responds with a text to every command.
type says struct {
	*fakeContainers
	text string
}

// Exec implements Containers.
func (s says) Exec(context.Context, string, ...string) ([]byte, error) { return []byte(s.text), nil }

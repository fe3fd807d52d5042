package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Only lines written after the source was created count, also after a rotation.
func TestLogFiles(t *testing.T) {
	t.Parallel()
	line := func(trace string) string {
		return `{"msg":"request","trace_id":"` + trace + `","span_id":"s"}` + "\n"
	}
	record := func(trace string) string {
		return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"x"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"request"},"flags":1,"traceId":"` + trace + `","spanId":"s"}]}]}]}` + "\n"
	}
	for name, tt := range map[string]struct {
		source  func(path string) LogSource
		line    func(string) string
		rotated string
		service string
		sampled bool
	}{
		"service":   {func(path string) LogSource { return ServiceLog("x", path) }, line, "x.log.1", "x", false},
		"Collector": {CollectorLog, record, "x-2026-01-31T12-00-00.000.log", "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "x.log")
			write := func(path, text string) {
				t.Helper()
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			lines := func(s LogSource) string {
				t.Helper()
				list, err := s.Lines(t.Context())
				if err != nil {
					return err.Error()
				}
				var traces []string
				for _, l := range list {
					if l.Service != tt.service || l.Message != requestLine || l.SpanID != "s" || l.Sampled != tt.sampled {
						t.Errorf("%+v", l)
					}
					traces = append(traces, l.TraceID)
				}
				return strings.Join(traces, " ")
			}
			fresh := tt.source(path)
			if got := lines(fresh); !strings.Contains(got, "no such file") {
				t.Errorf("without a file: %s", got)
			}
			write(path, tt.line("before"))
			s := tt.source(path)
			write(path, tt.line("before")+tt.line("a")+`{"half`)
			if got := lines(s); got != "a" {
				t.Errorf("lines %q, want a", got)
			}
			if got := lines(fresh); got != "before a" {
				t.Errorf("lines of a file that was not there %q, want before a", got)
			}
			write(filepath.Join(dir, tt.rotated), tt.line("before")+tt.line("a"))
			write(path, tt.line("b")[:20])
			if got := lines(s); got != "a" {
				t.Errorf("lines after the rotation %q, want a", got)
			}
			os.Remove(path)
			write(path, tt.line("b"))
			if got := lines(s); got != "a b" {
				t.Errorf("lines after the rotation %q, want a b", got)
			}
			other := filepath.Join(dir, "other.log")
			broken := tt.source(other)
			write(other, "{no json\n")
			if got := lines(broken); !strings.Contains(got, other) || !strings.Contains(got, "no json") {
				t.Errorf("a line that is no JSON: %s", got)
			}
		})
	}
}

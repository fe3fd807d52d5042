package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// span is one span as Jaeger's API gives it.
type span struct {
	TraceID       string
	SpanID        string
	OperationName string
	References    []struct{ RefType, TraceID, SpanID string }
	Tags          []struct {
		Key   string
		Value any
	}
	ProcessID string
	service   string
}

func (s span) parent() string {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" {
			return r.SpanID
		}
	}
	return ""
}

func (s span) tag(key string) string {
	for _, t := range s.Tags {
		if t.Key == key {
			return fmt.Sprint(t.Value)
		}
	}
	return ""
}

func (s span) String() string {
	return fmt.Sprintf("%s %s %q", s.service, s.tag("span.kind"), s.OperationName)
}

// traces asks Jaeger. Each trace is its spans.
func (l *lab) traces(t *testing.T, path string) [][]span {
	t.Helper()
	var answer struct {
		Data []struct {
			Spans     []span
			Processes map[string]struct{ ServiceName string }
		}
	}
	getJSON(t, l.Jaeger()+"/api/traces"+path, &answer)
	var all [][]span
	for _, tr := range answer.Data {
		for i := range tr.Spans {
			tr.Spans[i].service = tr.Processes[tr.Spans[i].ProcessID].ServiceName
		}
		all = append(all, tr.Spans)
	}
	return all
}

// chain returns the spans of a trace from its root down to the domain span, and
// the statements below that. It is an error if they are no such chain: two roots, an
// orphan, a branch, another trace's id.
func chain(trace []span) (c, statements []span, err error) {
	children := map[string][]span{}
	for _, s := range trace {
		if s.TraceID != trace[0].TraceID {
			return nil, nil, fmt.Errorf("two trace ids: %s and %s", s.TraceID, trace[0].TraceID)
		}
		children[s.parent()] = append(children[s.parent()], s)
	}
	for parent := ""; len(children[parent]) > 0; {
		if len(c) > 0 && c[len(c)-1].tag("span.kind") == "internal" {
			statements = children[parent]
			break
		}
		if n := len(children[parent]); n > 1 {
			return nil, nil, fmt.Errorf("%d spans with parent %q: %v", n, parent, children[parent])
		}
		s := children[parent][0]
		c = append(c, s)
		parent = s.SpanID
	}
	if len(c)+len(statements) != len(trace) {
		return c, nil, fmt.Errorf("%d of %d spans hang on the root: %v, %v of %v", len(c)+len(statements), len(trace), c, statements, trace)
	}
	if len(statements) == 0 {
		return c, nil, fmt.Errorf("no statement below %v", c)
	}
	for _, s := range statements {
		if s.service != "album-store" || s.tag("span.kind") != "client" || s.tag("db.system.name") != "sqlite" || s.tag("error") != "" {
			return c, nil, fmt.Errorf("%v is no statement: %v", s, s.Tags)
		}
	}
	return c, statements, nil
}

func wantChain(operation, domain string) []string {
	return []string{
		`loadgen client "` + operation + `"`,
		`proxy-service server "` + operation + `"`,
		`proxy-service client "` + operation + `"`,
		`album-store server "` + operation + `"`,
		`album-store internal "` + domain + `"`,
	}
}

// TestLab runs the lab as the README says and asks the real backends what they
// saw of it.
func TestLab(t *testing.T) {
	const albums, rate, seconds = 300, 100, 10
	l := newLab(t)
	l.up(t)
	var pids []int
	for _, p := range l.status(t).Programs {
		pids = append(pids, p.Process.PID)
	}

	l.mustRun(t, time.Minute, "lab", "smoke", "-url", l.Proxy())
	t.Log("\n" + l.mustRun(t, 2*time.Minute, "datagen", "-n", fmt.Sprint(albums), "-url", l.Proxy()))
	const count = `sum by (service_name) (histogram_count(http_server_request_duration_seconds))`
	settled := func(proxy, store float64) {
		t.Helper()
		eventually(t, "the request count in Prometheus", func() error {
			got := l.query(t, count)
			if got["proxy-service"] != proxy || got["album-store"] != store {
				return fmt.Errorf("%s = %v, want %v for proxy-service, %v for album-store", count, got, proxy, store)
			}
			return nil
		})
	}
	// Of the ten, two are probes, which are not counted, and the proxy refuses four.
	const smoked, passed = 8, 4
	settled(smoked+albums, passed+albums)
	before := l.query(t, count)
	t.Log("\n" + l.attack(t, "-rate", fmt.Sprint(rate), "-duration", fmt.Sprintf("%ds", seconds)))
	settled(smoked+albums+rate*seconds, passed+albums+rate*seconds)

	t.Run("metrics", func(t *testing.T) {
		after := l.query(t, count)
		for _, service := range []string{"proxy-service", "album-store"} {
			got := (after[service] - before[service]) / seconds
			if got < rate*0.95 || got > rate*1.05 {
				t.Errorf("%s: %v requests/s, want %v ± 5%%", service, got, rate)
			}
		}
		p99 := l.query(t, `histogram_quantile(0.99, sum by (service_name) (http_server_request_duration_seconds))`)
		for _, service := range []string{"proxy-service", "album-store"} {
			if v, ok := p99[service]; !ok || !(v > 0 && v < 5) {
				t.Errorf("p99 of %s = %v, %v, want a number of seconds", service, v, ok)
			}
		}
		for _, metric := range []string{"go_goroutine_count", "traces_span_metrics_calls_total", "otelcol_receiver_accepted_spans_total"} {
			eventually(t, metric, func() error {
				if len(l.query(t, fmt.Sprintf("sum by (service_name) (%s)", metric))) == 0 {
					return fmt.Errorf("no data")
				}
				return nil
			})
		}
	})

	t.Run("exemplar", func(t *testing.T) {
		var answer struct {
			Data []struct {
				SeriesLabels map[string]string
				Exemplars    []struct{ Labels map[string]string }
			}
		}
		now := time.Now()
		getJSON(t, fmt.Sprintf("%s/api/v1/query_exemplars?query=http_server_request_duration_seconds&start=%d&end=%d",
			l.Prometheus(), now.Add(-10*time.Minute).Unix(), now.Unix()), &answer)
		found := map[string]bool{}
		for _, series := range answer.Data {
			for _, e := range series.Exemplars {
				service := series.SeriesLabels["service_name"]
				if found[service] {
					continue
				}
				traces := l.traces(t, "/"+e.Labels["trace_id"])
				if len(traces) != 1 {
					t.Fatalf("exemplar %v: %d traces in Jaeger, want 1", e.Labels, len(traces))
				}
				for _, s := range traces[0] {
					found[s.service] = found[s.service] || s.SpanID == e.Labels["span_id"] && s.service == service
				}
			}
		}
		if !found["proxy-service"] || !found["album-store"] {
			t.Errorf("spans of exemplars found in Jaeger for %v, want proxy-service and album-store", found)
		}
	})

	var some string // the id of a trace
	t.Run("traces", func(t *testing.T) {
		// Not one is lost: each request is a trace, and each trace is whole.
		var traces [][]span
		eventually(t, "the traces in Jaeger", func() error {
			traces = l.traces(t, "?service=loadgen&limit=2000&lookback=1h")
			if len(traces) != rate*seconds {
				return fmt.Errorf("%d traces of loadgen, want %d", len(traces), rate*seconds)
			}
			for _, tr := range traces {
				if _, _, err := chain(tr); err != nil { // some span may be on its way
					return fmt.Errorf("trace %s: %w", tr[0].TraceID, err)
				}
			}
			return nil
		})
		want := map[string][]string{
			"GET /albums":     wantChain("GET /albums", "album.list"),
			"GET /albums/:id": wantChain("GET /albums/:id", "album.get"),
			"POST /albums":    wantChain("POST /albums", "album.create"),
		}
		seen := map[string]int{}
		for _, tr := range traces {
			c, statements, err := chain(tr)
			if err != nil {
				t.Fatalf("trace %s: %v", tr[0].TraceID, err)
			}
			operation := c[0].OperationName
			if operation == "GET /albums/:id" && fmt.Sprint(statements) != `[album-store client "SELECT albums"]` {
				t.Fatalf("trace %s: statements %v", tr[0].TraceID, statements)
			}
			seen[operation]++
			if got, want := fmt.Sprint(c), strings.Join(want[operation], " "); got != "["+want+"]" {
				t.Fatalf("trace %s:\n%v, want\n[%v]", tr[0].TraceID, got, want)
			}
			method, _, _ := strings.Cut(operation, " ")
			for _, s := range c[:4] {
				if s.tag("http.request.method") != method || s.tag("http.response.status_code") == "" || s.tag("server.address") == "" {
					t.Errorf("trace %s: %v lacks semantic-convention attributes: %v", s.TraceID, s, s.Tags)
				}
				if s.tag("error") != "" {
					t.Errorf("trace %s: %v is an error: %v", s.TraceID, s, s.Tags)
				}
			}
			some = c[0].TraceID
		}
		for operation := range want {
			if seen[operation] == 0 {
				t.Errorf("no trace of %s", operation)
			}
		}
		if got := len(l.traces(t, "?service=datagen&limit=2000&lookback=1h")); got != albums {
			t.Errorf("%d traces of datagen, want %d", got, albums)
		}
	})
	t.Run("console", func(t *testing.T) { l.testConsole(t, some) })

	t.Run("logs", func(t *testing.T) {
		for _, service := range []string{"proxy-service", "album-store"} {
			if n := logLines(t, filepath.Join(l.Logs(), service+".log"), some); n != 1 {
				t.Errorf("%s: %d log lines of trace %s, want 1", service, n, some)
			}
		}
		eventually(t, "the log records that passed the Collector", func() error {
			b, err := os.ReadFile(filepath.Join(l.Logs(), "otlp.jsonl"))
			if n := strings.Count(string(b), `"traceId":"`+some+`"`); n != 2 {
				return fmt.Errorf("%d records of trace %s, want 2: %v", n, some, err)
			}
			return nil
		})
	})

	t.Run("nothing is dropped", func(t *testing.T) {
		for sent, arrived := range map[string]string{
			`sum(otel_sdk_span_started_total)`: `sum(otelcol_exporter_sent_spans_total{exporter="otlp/jaeger"})`,
			`sum(otel_sdk_log_created_total)`:  `sum(otelcol_exporter_sent_log_records_total)`,
		} {
			eventually(t, arrived, func() error {
				s, a := l.query(t, sent)[""], l.query(t, arrived)[""]
				if s == 0 || s != a {
					return fmt.Errorf("%s = %v, %s = %v, want the same", sent, s, arrived, a)
				}
				return nil
			})
		}
		for _, metric := range []string{
			`sum(otelcol_exporter_send_failed_metric_points_total)`,
			`sum(otelcol_exporter_enqueue_failed_metric_points_total)`,
			`sum(otelcol_receiver_refused_metric_points_total)`,
			`sum(otel_sdk_processor_span_processed_total{error_type!=""})`,
			`sum(otel_sdk_exporter_span_exported_total{error_type!=""})`,
			`sum(otelcol_exporter_send_failed_spans_total)`,
			`sum(otelcol_exporter_enqueue_failed_spans_total)`,
			`sum(otelcol_receiver_refused_spans_total)`,
		} {
			if v := l.query(t, metric)[""]; v != 0 {
				t.Errorf("%s = %v, want 0", metric, v)
			}
		}
	})

	t.Run("contract", func(t *testing.T) {
		callAll(t, l.Proxy(), "1000001")
		callAll(t, l.Store(), "1000002")
	})

	t.Run("explain", func(t *testing.T) {
		l.explains(t, l.StoreAdmin(), "db-delay", "album-store")
		l.explains(t, l.ProxyAdmin(), "latency", "proxy-service")
	})

	t.Run("down", func(t *testing.T) {
		l.mustRun(t, time.Minute, "lab", "down", "-state", l.State)
		l.wantNothingLeft(t, pids)
		if out := l.mustRun(t, time.Minute, "lab", "down", "-state", l.State); !strings.Contains(out, "not running") {
			t.Errorf("a second down says %q", out)
		}
	})
}

// logLines counts the lines with this trace id, each of which must be JSON with
// the id in its place.
func logLines(t *testing.T, path, traceID string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, traceID) {
			continue
		}
		var entry struct {
			TraceID string `json:"trace_id"`
			SpanID  string `json:"span_id"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.TraceID != traceID || entry.SpanID == "" {
			t.Errorf("%s: %q: %v", path, line, err)
		}
		n++
	}
	return n
}

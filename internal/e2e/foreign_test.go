package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// foreign is a service that is none of the lab's, and sends what it likes.
type foreign struct {
	otlp     string
	resource []*common.KeyValue
}

func newForeign(l *lab, name string, more ...*common.KeyValue) foreign {
	return foreign{l.OTLP(), append([]*common.KeyValue{text("service.name", name)}, more...)}
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

// notUTF8 becomes bytes that are not UTF-8 on the wire, which Go's protobuf does not write.
const notUTF8 = "a?NOT-UTF-8?b"

// send posts an OTLP message, and returns the response's status.
func (f foreign) send(t *testing.T, signal string, message proto.Message) int {
	t.Helper()
	body, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	body = bytes.ReplaceAll(body, []byte("?NOT-UTF-8?"), bytes.Repeat([]byte{0xff}, len("?NOT-UTF-8?")))
	resp, err := http.Post(f.otlp+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func (f foreign) mustSend(t *testing.T, signal string, message proto.Message) {
	t.Helper()
	if status := f.send(t, signal, message); status != http.StatusOK {
		t.Fatalf("%s: %d, want 200", signal, status)
	}
}

func (f foreign) sendMetrics(t *testing.T, list ...*metrics.Metric) {
	t.Helper()
	f.mustSend(t, "metrics", &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource: &resource.Resource{Attributes: f.resource}, ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: list}}}}})
}

func (f foreign) sendSpans(t *testing.T, list ...*traces.Span) {
	t.Helper()
	f.mustSend(t, "traces", &coltraces.ExportTraceServiceRequest{ResourceSpans: []*traces.ResourceSpans{{
		Resource: &resource.Resource{Attributes: f.resource}, ScopeSpans: []*traces.ScopeSpans{{Spans: list}}}}})
}

func nanoseconds(at time.Time) uint64 {
	if at.IsZero() {
		return 0
	}
	return uint64(at.UnixNano())
}

func number(at time.Time, value int64, attributes ...*common.KeyValue) *metrics.NumberDataPoint {
	return &metrics.NumberDataPoint{TimeUnixNano: nanoseconds(at), Attributes: attributes, Value: &metrics.NumberDataPoint_AsInt{AsInt: value}}
}

func gauge(name string, points ...*metrics.NumberDataPoint) *metrics.Metric {
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: points}}}
}

const (
	cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	delta      = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
)

// counter returns one of one point, which counts since then.
func counter(name string, temporality metrics.AggregationTemporality, since time.Time, point *metrics.NumberDataPoint) *metrics.Metric {
	point.StartTimeUnixNano = nanoseconds(since)
	return &metrics.Metric{Name: name, Data: &metrics.Metric_Sum{Sum: &metrics.Sum{IsMonotonic: true,
		AggregationTemporality: temporality, DataPoints: []*metrics.NumberDataPoint{point}}}}
}

// exponential returns a histogram of one request that took 1 to 2 s.
func exponential(name string, at time.Time, scale int32, exemplars ...*metrics.Exemplar) *metrics.Metric {
	sum := 1.5
	return &metrics.Metric{Name: name, Unit: "s", Data: &metrics.Metric_ExponentialHistogram{ExponentialHistogram: &metrics.ExponentialHistogram{
		AggregationTemporality: cumulative,
		DataPoints: []*metrics.ExponentialHistogramDataPoint{{TimeUnixNano: nanoseconds(at), StartTimeUnixNano: nanoseconds(at.Add(-time.Second)),
			Scale: scale, Count: 1, Sum: &sum, Positive: &metrics.ExponentialHistogramDataPoint_Buckets{BucketCounts: []uint64{1}}, Exemplars: exemplars}},
	}}}
}

// span returns one of the trace, that ends now.
func span(trace []byte, name string, attributes ...*common.KeyValue) *traces.Span {
	now := time.Now()
	return &traces.Span{TraceId: trace, SpanId: random(8), Name: name, Kind: traces.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nanoseconds(now.Add(-time.Millisecond)), EndTimeUnixNano: nanoseconds(now), Attributes: attributes}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

type jaegerSpan struct {
	OperationName string
	Tags          []struct {
		Key   string
		Value any
	}
}

func (s jaegerSpan) tag(key string) string {
	for _, t := range s.Tags {
		if t.Key == key {
			return fmt.Sprint(t.Value)
		}
	}
	return ""
}

// wantSpans waits until Jaeger has so many spans of a trace, and returns them.
func (l *lab) wantSpans(t *testing.T, trace []byte, n int) (list []jaegerSpan) {
	t.Helper()
	eventually(t, "the trace in Jaeger", func() error {
		resp, err := http.Get(l.Jaeger() + "/api/traces/" + hex.EncodeToString(trace))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		var found struct {
			Data []struct{ Spans []jaegerSpan }
		}
		getJSON(t, l.Jaeger()+"/api/traces/"+hex.EncodeToString(trace), &found)
		if list = found.Data[0].Spans; len(list) != n {
			return fmt.Errorf("%d spans, want %d", len(list), n)
		}
		return nil
	})
	return list
}

// wantEveryExport checks that what a service has exported since then is stored, however
// late: with each export of its metrics it says how many there were before.
func (l *lab) wantEveryExport(t *testing.T, service string, since time.Time) {
	t.Helper()
	query := fmt.Sprintf(`otel_sdk_exporter_operation_duration_seconds{service_name=%q,otel_component_type=~"otlp_.*_metric_exporter",error_type=""}[10m]`, service)
	var answer struct {
		Data struct {
			Result []struct{ Histograms [][2]any }
		}
	}
	eventually(t, "exports of "+service, func() error {
		getJSON(t, l.Prometheus()+"/api/v1/query?query="+url.QueryEscape(query), &answer)
		if len(answer.Data.Result) != 1 {
			return fmt.Errorf("%s has %d series, want 1", query, len(answer.Data.Result))
		}
		var counts []int
		for _, h := range answer.Data.Result[0].Histograms {
			if h[0].(float64) >= float64(since.Unix()) {
				n, err := strconv.Atoi(fmt.Sprint(h[1].(map[string]any)["count"]))
				if err != nil {
					t.Fatal(err)
				}
				counts = append(counts, n)
			}
		}
		if len(counts) < 3 {
			return fmt.Errorf("%d samples since the load began, want 3", len(counts))
		}
		if last := len(counts) - 1; counts[last]-counts[0] != last {
			t.Errorf("%s: samples are missing: they came with exports %v, want each", service, counts)
		}
		return nil
	})
}

// TestForeign has a service that is none of ours send what no backend stores, beside the
// load of ours: what can be stored is, and nothing of ours is missing.
func TestForeign(t *testing.T) {
	l := newLab(t)
	l.up(t)
	t.Run("beside our services", l.besideOurs)
	t.Run("docs/your-service.md", l.yourService)
}

func (l *lab) besideOurs(t *testing.T) {
	f := newForeign(l, "foreign")
	const rate, seconds = 20, 20
	var report bytes.Buffer
	load := exec.CommandContext(t.Context(), filepath.Join(l.bin, "loadgen"), "-url", l.Proxy(), "-jaeger", l.Jaeger(),
		"-keep", filepath.Join(l.State, "runs"), "-rate", fmt.Sprint(rate), "-duration", fmt.Sprintf("%ds", seconds))
	load.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT="+l.OTLP())
	load.Stdout = &report
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = load.Wait() // that a busy machine was late is no failure here
	}()
	begun, n, trace := time.Now(), 0, random(16)
	const kinds = 4 // that the Collector itself rejects
	for running := true; running; n++ {
		now := time.Now()
		f.sendMetrics(t, gauge("foreign.old", number(now.Add(-2*time.Hour), 1)), gauge("foreign.good", number(now, int64(n))))
		f.sendMetrics(t, gauge("foreign.early", number(now.Add(time.Hour), 1)))
		f.sendMetrics(t, gauge("foreign.timeless", number(time.Time{}, 1)))
		f.sendMetrics(t, exponential("foreign.coarse", now, -5))
		// The second one has another value for the same moment.
		f.sendMetrics(t, gauge("foreign.twice", number(now, 1)))
		f.sendMetrics(t, gauge("foreign.twice", number(now, 2)))
		f.sendMetrics(t, counter("foreign.increments", delta, begun.Add(time.Duration(n)*time.Millisecond), number(now, 1)))
		f.sendSpans(t, span(trace, "long", text("long", strings.Repeat("x", 65_500))),
			span(trace, "broken", text("broken", notUTF8), text(notUTF8, "key")), span(trace, "neighbour"))
		select {
		case <-done:
			running = false
		case <-time.After(250 * time.Millisecond):
		}
	}
	t.Logf("%d times; loadgen:\n%s", n, report.String())

	eventually(t, "points of ours", func() error {
		const count = `sum by (service_name) (histogram_count(http_server_request_duration_seconds))`
		if got := l.query(t, count); got["proxy-service"] != rate*seconds {
			return fmt.Errorf("%s = %v, want %d", count, got, rate*seconds)
		}
		return nil
	})
	for query, want := range map[string]int{
		// Nothing but the second of each pair of duplicates failed.
		`sum(otelcol_exporter_send_failed_metric_points_total{service_name="otel-collector"})`: n,
		`sum(otelcol_exporter_sent_metric_points_total{exporter="debug/rejected"})`:            kinds * n,
		`sum(foreign_increments_total)`: n,
		`sum(foreign_good)`:             n - 1,
		`sum(foreign_twice)`:            1,
		`count(foreign_old or foreign_early or foreign_timeless or foreign_coarse)`: 0,
		`sum(otelcol_exporter_send_failed_spans_total)`:                             0,
	} {
		eventually(t, query, func() error {
			if got := l.query(t, query)[""]; got != float64(want) {
				return fmt.Errorf("%v, want %d", got, want)
			}
			return nil
		})
	}
	for _, service := range []string{"proxy-service", "album-store"} {
		l.wantEveryExport(t, service, begun)
	}
	for _, s := range l.wantSpans(t, trace, 3*n) {
		if long := s.tag("long"); s.OperationName == "long" && len(long) != 4096 {
			t.Errorf("a long attribute has %d bytes in Jaeger, want 4096", len(long))
		}
		if broken := s.tag("broken"); s.OperationName == "broken" && (!strings.Contains(broken, "\uFFFD") || !strings.HasPrefix(broken, "a")) {
			t.Errorf("an attribute that is not UTF-8 is %q in Jaeger", broken)
		}
	}
}

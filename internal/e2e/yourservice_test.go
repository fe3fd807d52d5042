package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	coltraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// lines returns the first cell of each row of the page's tables.
func lines(t *testing.T, file string) (cells []string) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		cell, ok := strings.CutPrefix(line, "| ")
		cell, _, _ = strings.Cut(cell, " | ")
		if ok && cell != "send" && cell != "set" {
			cells = append(cells, cell)
		}
	}
	return cells
}

// yourService does what each row of docs/your-service.md says.
func (l *lab) yourService(t *testing.T) {
	checks := map[string]func(*testing.T){
		"OTLP over HTTP to `http://127.0.0.1:4318`":                         l.overHTTP,
		"OTLP over gRPC to `http://127.0.0.1:4317`":                         l.overGRPC,
		"max 16 MiB per request":                                            l.largeRequest,
		"`service.name`":                                                    l.serviceName,
		"`service.namespace`":                                               l.serviceNamespace,
		"`service.instance.id`, a new one for each process":                 l.serviceInstance,
		"`deployment.environment.name`":                                     l.environmentName,
		"any other resource attribute":                                      l.otherAttribute,
		"cumulative or delta counters and histograms":                       l.temporalities,
		"a temporality for each sum and histogram":                          l.noTemporality,
		"timestamps from 25 minutes in the past to 9 minutes in the future": l.timeStamps,
		"exponential histograms with a scale of -4 or higher":               l.scales,
		"one value per series and timestamp":                                l.duplicates,
		"counter names without `total`":                                     l.totals,
		"metric names that differ in letters or digits":                     l.collidingNames,
		"attribute names with an ASCII letter or digit":                     l.attributeNames,
		"histograms with explicit buckets":                                  l.explicitBuckets,
		"the header `traceparent` with each request":                        l.traceParent,
		"the sampled flag in `traceparent`":                                 l.sampledFlag,
		"attribute values up to 4 KiB, span names up to 1 KiB":              l.lengths,
		"UTF-8": l.utf8,
		"log records with `trace_id` and `span_id`": l.logRecords,
	}
	rows := lines(t, filepath.Join(l.Root, "docs/your-service.md"))
	for _, row := range rows {
		check, ok := checks[row]
		if !ok {
			t.Errorf("nothing checks the line %q", row)
			continue
		}
		t.Run(row, check)
	}
	for row := range checks {
		if !slices.Contains(rows, row) {
			t.Errorf("docs/your-service.md has no line %q", row)
		}
	}
}

// wantValue waits until a query of one series has a value.
func (l *lab) wantValue(t *testing.T, query string, want float64) {
	t.Helper()
	eventually(t, query, func() error {
		got := l.query(t, query)
		for _, v := range got {
			if len(got) == 1 && v == want {
				return nil
			}
		}
		return fmt.Errorf("%v, want %v", got, want)
	})
}

// wantRejected waits until the Collector's log names the metric and the reason, and
// makes sure that Prometheus has not got it.
func (l *lab) wantRejected(t *testing.T, metric, reason string) {
	t.Helper()
	eventually(t, "the Collector's log", func() error {
		log, err := os.ReadFile(filepath.Join(l.Logs(), "otel-collector.log"))
		if err == nil && !bytes.Contains(log, []byte(metric+"{soundcheck.rejected="+reason+"}")) {
			err = fmt.Errorf("it does not name %s and %q", metric, reason)
		}
		return err
	})
	if got := l.query(t, `count({__name__=~"`+strings.ReplaceAll(metric, ".", "_")+`.*"})`); len(got) > 0 {
		t.Errorf("Prometheus has %s", metric)
	}
}

func (l *lab) overHTTP(t *testing.T) {
	f, trace := newForeign(l, "over-http"), random(16)
	f.sendSpans(t, span(trace, "hello"))
	l.wantSpans(t, trace, 1)
	f.sendMetrics(t, gauge("over.http", number(time.Now(), 7)))
	l.wantValue(t, "over_http", 7)
}

func (l *lab) overGRPC(t *testing.T) {
	connection, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", 4317+l.Offset), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	trace := random(16)
	if _, err := coltraces.NewTraceServiceClient(connection).Export(t.Context(), &coltraces.ExportTraceServiceRequest{
		ResourceSpans: []*traces.ResourceSpans{{Resource: &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "over-grpc")}},
			ScopeSpans: []*traces.ScopeSpans{{Spans: []*traces.Span{span(trace, "hello")}}}}}}); err != nil {
		t.Fatal(err)
	}
	l.wantSpans(t, trace, 1)
}

func (l *lab) largeRequest(t *testing.T) {
	status := newForeign(l, "large").send(t, "traces", &coltraces.ExportTraceServiceRequest{ResourceSpans: []*traces.ResourceSpans{{
		ScopeSpans: []*traces.ScopeSpans{{Spans: []*traces.Span{span(random(16), "large", text("large", strings.Repeat("x", 17<<20)))}}}}}})
	if status < 400 || status >= 500 {
		t.Errorf("17 MiB: %d, want 4xx", status)
	}
}

func (l *lab) serviceName(t *testing.T) {
	f := newForeign(l, "named")
	f.sendSpans(t, span(random(16), "hello"))
	f.sendMetrics(t, gauge("named", number(time.Now(), 1)))
	l.wantValue(t, `named{service_name="named"}`, 1)
	eventually(t, "the service in Jaeger", func() error {
		var found struct{ Data []string }
		getJSON(t, l.Jaeger()+"/api/services", &found)
		if !slices.Contains(found.Data, "named") {
			return fmt.Errorf("only %v", found.Data)
		}
		return nil
	})
}

func (l *lab) serviceNamespace(t *testing.T) {
	newForeign(l, "spaced", text("service.namespace", "shop")).sendMetrics(t, gauge("spaced", number(time.Now(), 1)))
	newForeign(l, "spaceless").sendMetrics(t, gauge("spaceless", number(time.Now(), 1)))
	l.wantValue(t, `spaced{job="shop/spaced"}`, 1)
	l.wantValue(t, `spaceless{job="spaceless"}`, 1)
}

func (l *lab) serviceInstance(t *testing.T) {
	begun := time.Now().Add(-time.Second)
	for i := range 2 { // two processes, which have counted 1 each
		at := time.Now()
		newForeign(l, "instances", text("service.instance.id", fmt.Sprint(i))).sendMetrics(t, counter("instances.with", cumulative, begun, number(at, 1)))
		newForeign(l, "instances").sendMetrics(t, counter("instances.without", cumulative, begun, number(at, 1)))
	}
	l.wantValue(t, `sum(instances_with_total{instance=~"0|1"})`, 2)
	l.wantValue(t, `sum(instances_without_total)`, 1)
}

func (l *lab) environmentName(t *testing.T) {
	newForeign(l, "placed", text("deployment.environment.name", "here")).sendMetrics(t, gauge("placed", number(time.Now(), 1)))
	l.wantValue(t, `placed{deployment_environment_name="here"}`, 1)
}

func (l *lab) otherAttribute(t *testing.T) {
	newForeign(l, "other", text("service.instance.id", "one"), text("cloud.region", "north"),
		text("", "removed"), text("日本", "removed"), text("--", "removed")).sendMetrics(t, gauge("other", number(time.Now(), 1)))
	l.wantValue(t, `other{cloud_region=""}`, 1)
	l.wantValue(t, `target_info{job="other",cloud_region="north"}`, 1)
}

func (l *lab) temporalities(t *testing.T) {
	f, begun := newForeign(l, "temporal"), time.Now().Add(-time.Minute)
	for i := range 5 {
		at := begun.Add(time.Duration(i+1) * time.Second)
		f.sendMetrics(t, counter("temporal.cumulative", cumulative, begun, number(at, int64(i+1))),
			counter("temporal.delta", delta, at.Add(-time.Second), number(at, 1)))
		h := exponential("temporal.histogram", at, 0)
		h.GetExponentialHistogram().AggregationTemporality = delta
		f.sendMetrics(t, h)
	}
	l.wantValue(t, `sum(temporal_cumulative_total)`, 5)
	l.wantValue(t, `sum(temporal_delta_total)`, 5)
	l.wantValue(t, `sum(histogram_count(temporal_histogram_seconds))`, 5)
}

func (l *lab) noTemporality(t *testing.T) {
	f := newForeign(l, "undecided")
	f.sendMetrics(t, counter("undecided.sum", metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_UNSPECIFIED, time.Now(), number(time.Now(), 1)),
		gauge("decided", number(time.Now(), 1)))
	l.wantValue(t, "decided", 1)
	l.wantRejected(t, "undecided.sum", "neither delta nor cumulative")
}

func (l *lab) timeStamps(t *testing.T) {
	f, now := newForeign(l, "timed"), time.Now()
	f.sendMetrics(t, gauge("timed.ancient", number(now.Add(-26*time.Minute), 1)), gauge("timed.future", number(now.Add(10*time.Minute), 1)),
		gauge("timed.never", number(time.Time{}, 1)), gauge("timed.now", number(now, 1)),
		gauge("timed.late", number(now.Add(-24*time.Minute), 1)), gauge("timed.ahead", number(now.Add(8*time.Minute), 1)))
	l.wantValue(t, "timed_now", 1)
	l.wantValue(t, "last_over_time(timed_late[30m])", 1)
	l.wantValue(t, "last_over_time(timed_ahead[10m] offset -9m)", 1)
	l.wantRejected(t, "timed.ancient", "more than 25 minutes old")
	l.wantRejected(t, "timed.future", "more than 9 minutes in the future")
	l.wantRejected(t, "timed.never", "no time stamp")
}

func (l *lab) scales(t *testing.T) {
	f := newForeign(l, "scaled")
	f.sendMetrics(t, exponential("scaled.fine", time.Now(), -4), exponential("scaled.coarse", time.Now(), -5))
	l.wantValue(t, "histogram_count(scaled_fine_seconds)", 1)
	l.wantRejected(t, "scaled.coarse", "exponential histogram with a scale below -4")
}

func (l *lab) duplicates(t *testing.T) {
	f, now := newForeign(l, "twice"), time.Now()
	f.sendMetrics(t, gauge("twice.once", number(now, 1)))
	l.wantValue(t, "twice_once", 1)
	f.sendMetrics(t, gauge("twice.once", number(now, 2)), gauge("twice.beside", number(now, 1)))
	f.sendMetrics(t, gauge("twice.after", number(now, 1)))
	l.wantValue(t, "twice_after", 1)
	l.wantValue(t, "twice_once", 1)
	if got := l.query(t, "twice_beside"); len(got) > 0 {
		t.Error("the point beside the duplicate is stored: say so in docs/your-service.md")
	}
}

func (l *lab) totals(t *testing.T) {
	f, now := newForeign(l, "jobs"), time.Now()
	f.sendMetrics(t, counter("jobs.total.done", cumulative, now.Add(-time.Second), number(now, 1, text("name", "total"))),
		counter("jobs.done", cumulative, now.Add(-time.Second), number(now, 1, text("name", "plain"))))
	l.wantValue(t, `sum(jobs_done_total{name=~"total|plain"})`, 2)
}

func (l *lab) collidingNames(t *testing.T) {
	f, now := newForeign(l, "jobs"), time.Now()
	f.sendMetrics(t, gauge("jobs.waiting", number(now, 1, text("name", "dot"))), gauge("jobs_waiting", number(now, 1, text("name", "underscore"))))
	l.wantValue(t, `sum(jobs_waiting{name=~"dot|underscore"})`, 2)
}

func (l *lab) attributeNames(t *testing.T) {
	newForeign(l, "keys").sendMetrics(t, gauge("keys", number(time.Now(), 1, text("日本", "removed"), text("", "removed"), text("kept", "yes"))))
	l.wantValue(t, `keys{kept="yes"}`, 1)
}

func (l *lab) explicitBuckets(t *testing.T) {
	f, now := newForeign(l, "exemplary"), time.Now()
	low, high := random(16), random(16)
	exemplar := func(trace []byte, value float64) *metrics.Exemplar {
		return &metrics.Exemplar{TimeUnixNano: nanoseconds(now), TraceId: trace, SpanId: random(8), Value: &metrics.Exemplar_AsDouble{AsDouble: value}}
	}
	histogram := func(name string, exemplars ...*metrics.Exemplar) *metrics.Metric {
		sum := 2.0
		return &metrics.Metric{Name: name, Data: &metrics.Metric_Histogram{Histogram: &metrics.Histogram{AggregationTemporality: cumulative,
			DataPoints: []*metrics.HistogramDataPoint{{StartTimeUnixNano: nanoseconds(now.Add(-time.Second)), TimeUnixNano: nanoseconds(now), Count: 2, Sum: &sum,
				ExplicitBounds: []float64{1, 2}, BucketCounts: []uint64{1, 1, 0}, Exemplars: exemplars}}}}}
	}
	f.sendMetrics(t, histogram("exemplary.sorted", exemplar(low, 0.5), exemplar(high, 1.5)), histogram("exemplary.unsorted", exemplar(high, 1.5), exemplar(low, 0.5)))
	l.wantValue(t, "histogram_quantile(0.5, exemplary_sorted)", 1)
	for _, name := range []string{"exemplary_sorted", "exemplary_unsorted"} {
		eventually(t, name, func() error {
			var found struct {
				Data []struct {
					Exemplars []struct{ Labels map[string]string }
				}
			}
			getJSON(t, fmt.Sprintf("%s/api/v1/query_exemplars?query=%s&start=%d&end=%d", l.Prometheus(), name, now.Unix()-60, now.Unix()+60), &found)
			for _, series := range found.Data {
				for _, e := range series.Exemplars {
					if e.Labels["trace_id"] == hex.EncodeToString(low) {
						return nil
					}
				}
			}
			return fmt.Errorf("%+v, want the exemplar of 0.5", found.Data)
		})
	}
}

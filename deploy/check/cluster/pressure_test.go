package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A flood of exports brings the Collector to its memory limit while Jaeger is down: it rejects telemetry, which senders
// retry, and is not killed. The telemetry of all requests arrives once Jaeger is up again.
func TestCollectorLimit(t *testing.T) {
	r := newRelease(t, "collector", "collector.resources.requests.memory=64Mi", "collector.resources.limits.memory=64Mi")
	r.do("install")
	r.kubectl("scale", "statefulset/lab-soundcheck-jaeger", "--replicas=0")
	l := r.start()
	rejected := r.flood("http://" + r.address("otel-collector", "otlp-http") + "/v1/traces")
	l.more(10 * writes)
	l.clean()
	t.Logf("the Collector rejected %d exports of the flood", rejected)
	r.counts(`sum(otelcol_processor_memory_limiter_refused_spans_total{service_name="otel-collector"})`)
	r.kubectl("scale", "statefulset/lab-soundcheck-jaeger", "--replicas=1")
	r.traces(l.traces)
	r.counted(l.served, l.unsure)
	if restarts, reason := r.restarts("otel-collector"); restarts != 0 {
		t.Errorf("the Collector was restarted %d times: %s", restarts, reason)
	}
}

// flood sends large exports until ten are rejected, and returns how many were.
func (r *release) flood(url string) (rejected int) {
	r.Helper()
	const most = 400 // exports, of 2 MB: the queue is on a volume
	patient := &http.Client{Timeout: time.Minute}
	attribute := fmt.Sprintf(`{"key":"filler","value":{"stringValue":%q}}`, strings.Repeat("x", 20_000))
	var wg sync.WaitGroup
	var sent, no atomic.Int64
	for range 16 {
		wg.Go(func() {
			for sent.Add(1) <= most && no.Load() < 10 {
				var spans []string
				for range 100 {
					spans = append(spans, fmt.Sprintf(`{"traceId":"%016x%016x","spanId":"%016x","name":"flood","startTimeUnixNano":"1","endTimeUnixNano":"2","attributes":[%s]}`,
						rand.Uint64()|1, rand.Uint64(), rand.Uint64()|1, attribute))
				}
				body := fmt.Sprintf(`{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[%s]}]}]}`, strings.Join(spans, ","))
				resp, err := patient.Post(url, "application/json", strings.NewReader(body))
				if err != nil {
					r.Errorf("export: %v", err)
					return
				}
				resp.Body.Close()
				switch resp.StatusCode {
				case http.StatusOK:
				case http.StatusServiceUnavailable, http.StatusTooManyRequests:
					no.Add(1)
				default:
					r.Errorf("export: %s", resp.Status)
				}
			}
		})
	}
	wg.Wait()
	if no.Load() < 10 {
		r.Errorf("of %d exports of 2 MB %d were rejected", min(sent.Load(), most), no.Load())
	}
	r.Logf("%d exports", sent.Load())
	return int(no.Load())
}

// A Prometheus that is killed at its memory limit is back with its data, and no probe kills it meanwhile.
func TestPrometheusLimit(t *testing.T) {
	r := newRelease(t, "prometheus", "prometheus.resources.requests.memory=128Mi", "prometheus.resources.limits.memory=128Mi")
	r.do("install")
	l := r.start()
	l.more(20 * writes)
	l.clean()
	r.counted(l.served, l.unsure)
	base := "http://" + r.address("prometheus", "http")
	// Not the last samples, which the services send again.
	const oldest = `min(min_over_time(timestamp(http_server_request_duration_seconds{service_name="proxy-service"})[2h:1s]))`
	before := r.value(oldest)

	// Queries that need more memory than there is: every sample of 15 minutes, ten times a second.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 8 {
		go func() {
			for ctx.Err() == nil {
				now := time.Now().Unix()
				var found any
				if _, err := get(fmt.Sprintf("%s/api/v1/query_range?query=%s&start=%d&end=%d&step=0.1", base, url.QueryEscape(`{__name__=~".+"}`), now-900, now), &found); err != nil {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
	}
	r.await("Prometheus to be killed", func() bool { restarts, _ := r.restarts("prometheus"); return restarts > 0 })
	cancel()
	killed := time.Now()
	r.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app.kubernetes.io/component=prometheus", "--timeout="+ready)
	t.Logf("Prometheus was ready %.0f s after its death", time.Since(killed).Seconds())
	if _, reason := r.restarts("prometheus"); !strings.Contains(reason, "OOMKilled") {
		t.Errorf("Prometheus was restarted: %s, want OOMKilled", reason)
	}
	if after := r.value(oldest); after != before || after == "none" {
		t.Errorf("the oldest sample is of %s, was of %s before the death", after, before)
	}
	r.counted(l.served, l.unsure)
}

// restarts is how often the container of a component was restarted, and why it ended last.
func (r *release) restarts(component string) (int, string) {
	r.Helper()
	out := r.kubectl("get", "pods", "-l", "app.kubernetes.io/component="+component, "-o",
		"jsonpath={range .items[*].status.containerStatuses[?(@.name==\""+component+"\")]}{.restartCount} {.lastState.terminated.reason} {.state.waiting.reason}{end}")
	count, reason, _ := strings.Cut(out, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		r.Fatalf("restarts of %s: %q", component, out)
	}
	return n, reason
}

// value is the value of a query in Prometheus; "none" without one.
func (r *release) value(query string) string {
	r.Helper()
	var found struct {
		Data struct {
			Result []struct{ Value [2]json.RawMessage }
		}
	}
	if _, err := get("http://"+r.address("prometheus", "http")+"/api/v1/query?query="+url.QueryEscape(query), &found); err != nil || len(found.Data.Result) == 0 {
		return "none"
	}
	return strings.Trim(string(found.Data.Result[0].Value[1]), `"`)
}

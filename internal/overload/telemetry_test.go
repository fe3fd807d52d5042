package overload

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"soundcheck/internal/telemetry/telemetrytest"
)

// Every decision is counted, by what was decided, with the trace as an exemplar; a
// shed request's span has the reason.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	c, err := New(Options{Rate: 0.001, Burst: 4, Concurrency: Concurrency{N: 4}, WriteShare: 0.25, Queue: 1, QueueWait: time.Hour}, rec.MeterProvider)
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	tracer := rec.TracerProvider.Tracer("t")
	r.Use(func(g *gin.Context) {
		ctx, span := tracer.Start(g.Request.Context(), "server")
		defer span.End()
		g.Request = g.Request.WithContext(ctx)
		g.Next()
	})
	r.Use(c.Middleware(func(*gin.Context) Class { return Write }, nil, func(g *gin.Context, err error) { g.AbortWithStatus(503) }))
	entered, leave := make(chan struct{}), make(chan struct{})
	r.GET("/x", func(*gin.Context) { entered <- struct{}{}; <-leave })
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
	}()
	<-entered
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
	}()
	for c.gates[Write].waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, metric := range []struct {
		name string
		want int64
	}{{"soundcheck.overload.in_flight", 1}, {"soundcheck.overload.limit", 1}, {"soundcheck.overload.queue.length", 1}} {
		for _, p := range rec.Metric(metric.name).Data.(metricdata.Gauge[int64]).DataPoints {
			if class, _ := p.Attributes.Value(classKey); class.AsString() == "write" && p.Value != metric.want {
				t.Errorf("%s of writes is %d, want %d", metric.name, p.Value, metric.want)
			}
		}
	}
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil)) // there is no room to wait, and no span of a wait
	close(leave)
	<-done
	<-entered
	<-waited
	go func() { <-entered }()
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil)) // the burst is used up
	want := map[string]int64{"admitted": 3, "queue_full": 1, "global_rate_limit": 1}
	for _, p := range rec.Metric("soundcheck.overload.decisions").Data.(metricdata.Sum[int64]).DataPoints {
		decision, _ := p.Attributes.Value(decisionKey)
		if p.Value != want[decision.AsString()] {
			t.Errorf("%d were %s, want %d", p.Value, decision.AsString(), want[decision.AsString()])
		}
		delete(want, decision.AsString())
		if len(p.Exemplars) == 0 || len(p.Exemplars[0].TraceID) == 0 {
			t.Errorf("%s has no exemplar", decision.AsString())
		}
	}
	if len(want) > 0 {
		t.Errorf("not counted: %v", want)
	}
	var reasons []string
	queued := 0
	for _, s := range rec.Spans() {
		if s.Name == "overload queue" && s.Parent.IsValid() {
			queued++
		}
		if text := telemetrytest.Attributes(s.Attributes); text != "" {
			reasons = append(reasons, text)
		}
	}
	if got := strings.Join(reasons, ", "); got != "soundcheck.shed.reason=queue_full, soundcheck.shed.reason=global_rate_limit" {
		t.Errorf("the spans say %q", got)
	}
	if queued != 1 {
		t.Errorf("%d spans of the queue, want 1: of the one who had to wait", queued)
	}
}

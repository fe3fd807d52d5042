package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// seen has the requests at a server, by request number (from the trace id).
type seen struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]string
}

func newSeen(h http.Handler) *seen {
	s := &seen{requests: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		id := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))).TraceID()
		s.mu.Lock()
		s.requests[id.String()] = fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Accept"), r.Header.Get("Content-Type"), b)
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	return s
}

// of returns the requests of a run, in order.
func (s *seen) of(run string, n uint64) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := NewIDs(run)
	for i := range n {
		list = append(list, s.requests[ids.Trace(i).String()])
	}
	return list
}

// A replay sends the same requests at the same times and in the same order, to another server too,
// including requests that depended on responses.
func TestRecordAndReplay(t *testing.T) {
	t.Parallel()
	first := newSeen(albums())
	defer first.Close()
	second := newSeen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer second.Close()
	path := filepath.Join(t.TempDir(), "recording")
	c := testConfig(first.URL, tracetest.NewSpanRecorder())
	c.TracerProvider, c.TraceSample, c.RunID = nil, 1, "first"
	c.Mix = workload.Mix{}
	for _, name := range workload.Names() {
		c.Mix[name] = 1
	}
	c.Plan = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second, From: 100, To: 300}}, Arrivals: schedule.Poisson}
	var err error
	if c.Recorder, err = workload.NewRecorder(path, c.RunID); err != nil {
		t.Fatal(err)
	}
	r := attackOnce(t, t.Context(), c)
	if err := c.Recorder.Close(); err != nil {
		t.Fatal(err)
	}
	n := uint64(r.Sent)
	if r.Classes[measure.Good] != r.Sent || n < 100 {
		t.Fatalf("%d sent, %v", r.Sent, r.Classes)
	}
	replay := c
	replay.RunID, replay.URL, replay.Recorder, replay.Mix, replay.Plan, replay.Seed = "second", second.URL, nil, nil, schedule.Plan{}, 99
	if replay.Recording, err = workload.ReadRecording(path, 0); err != nil {
		t.Fatal(err)
	}
	if replay.Recording.Replay().Requests != n || replay.Recording.Targets() {
		t.Errorf("%d planned, want %d", replay.Recording.Replay().Requests, n)
	}
	replayed := attackOnce(t, t.Context(), replay)
	if replayed.Classes[measure.Shed] != int(n) || len(replayed.Scenarios) != len(r.Scenarios) {
		t.Errorf("replayed: %+v", replayed)
	}
	want, got := first.of("first", n), second.of("second", n)
	for i := range want {
		if want[i] == "" || got[i] != want[i] {
			t.Fatalf("request %d was %q, replayed as %q", i, want[i], got[i])
		}
	}
	// The same times as the same seed's arrivals.
	if err := replay.Recording.Open(); err != nil {
		t.Fatal(err)
	}
	defer replay.Recording.Close()
	replay.Plan.Replay = replay.Recording.Replay()
	p, q := pacerOf(t, c), pacerOf(t, replay)
	for i := range n {
		a, _ := p.Next(i)
		b, ok := q.Next(i)
		if a != b || !ok {
			t.Fatalf("request %d was scheduled at %s, is scheduled at %s, %v", i, a, b, ok)
		}
	}
	if _, more := q.Next(n); more {
		t.Error("there is more to replay than was sent")
	}
	// -n limits a replay too.
	if replay.Recording, err = workload.ReadRecording(path, 5); err != nil {
		t.Fatal(err)
	}
	if r := attackOnce(t, t.Context(), replay); r.Sent != 5 || r.Planned != 5 {
		t.Errorf("%d of %d sent, want 5", r.Sent, r.Planned)
	}
	if _, err := workload.NewRecorder(path, "x"); !os.IsExist(err) {
		t.Errorf("a second recording in the same file: %v", err)
	}
}

// Trace ids depend on run id and request number, and are unique.
func TestTraceIDs(t *testing.T) {
	t.Parallel()
	a, b := NewIDs("a"), NewIDs("b")
	all := map[trace.TraceID]bool{}
	var halves []byte
	for i := range uint64(10_000) {
		for _, id := range []trace.TraceID{a.Trace(i), b.Trace(i)} {
			if !id.IsValid() || all[id] {
				t.Fatalf("%s of request %d is there twice", id, i)
			}
			all[id] = true
		}
		halves = append(halves, a.Trace(i)[8]>>7)
	}
	if a.Trace(7) != NewIDs("a").Trace(7) {
		t.Error("the same run and number give another id")
	}
	if n := len(slices.DeleteFunc(halves, func(b byte) bool { return b == 0 })); n < 4800 || n > 5200 {
		t.Errorf("the first bit is set in %d of 10,000: samplers need ids that look random", n)
	}
}

// A share of the traces is sampled. traceparent has the decision, also without exported spans.
func TestTraceSample(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sampled := map[bool]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
		mu.Lock()
		defer mu.Unlock()
		if sc.IsValid() {
			sampled[sc.IsSampled()]++
		}
	}))
	defer server.Close()
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider, c.TraceSample, c.RunID = nil, 0.25, "run"
	c.Mix = workload.Mix{"list": 1}
	c.Plan = steady(1000, time.Second)
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 1000 || sampled[true]+sampled[false] != 1000 || sampled[true] < 200 || sampled[true] > 300 {
		t.Errorf("%d sent, sampled %v, want a quarter", r.Sent, sampled)
	}
}

// A recording of the closed model replays as an open plan.
func TestRecordClosed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(albums())
	defer server.Close()
	path := filepath.Join(t.TempDir(), "recording")
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider, c.Workers, c.Plan = nil, 32, schedule.Plan{Stages: []schedule.Stage{{Duration: time.Minute}}, Max: 2000}
	var err error
	if c.Recorder, err = workload.NewRecorder(path, "run"); err != nil {
		t.Fatal(err)
	}
	r := attackOnce(t, t.Context(), c)
	if err := c.Recorder.Close(); err != nil {
		t.Fatal(err)
	}
	rec, err := workload.ReadRecording(path, 0)
	if err != nil || rec.Replay().Requests != uint64(r.Sent) || r.Sent < 2000 {
		t.Errorf("%+v, %v, want %d requests", rec, err, r.Sent)
	}
}

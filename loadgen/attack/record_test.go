package attack

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// seen is what a server was sent, by the number that the trace id tells.
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

// of returns what was sent as the requests of a run, in order.
func (s *seen) of(run string, n uint64) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := NewIDs(run)
	for i := range n {
		list = append(list, s.requests[ids.Trace(i).String()])
	}
	return list
}

// A replay sends the same requests in the same order, also those that followed from
// answers, at the same times; to another server, which has none of it.
func TestRecordAndReplay(t *testing.T) {
	t.Parallel()
	first := newSeen(albums())
	defer first.Close()
	second := newSeen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer second.Close()
	path := filepath.Join(t.TempDir(), "recording")
	c := testConfig(first.URL, tracetest.NewSpanRecorder())
	c.TracerProvider, c.TraceSample, c.RunID = nil, 1, "first"
	c.Mix = Mix{}
	for _, name := range Names() {
		c.Mix[name] = 1
	}
	c.Plan = Plan{Stages: []Stage{{time.Second, 100, 300}}, Arrivals: Poisson}
	var err error
	if c.Recorder, err = NewRecorder(path, c.RunID); err != nil {
		t.Fatal(err)
	}
	r := attackOnce(t, t.Context(), c)
	if err := c.Recorder.Close(); err != nil {
		t.Fatal(err)
	}
	n := uint64(r.Sent)
	if r.Classes[Good] != r.Sent || n < 100 {
		t.Fatalf("%d sent, %v", r.Sent, r.Classes)
	}
	again := c
	again.RunID, again.URL, again.Recorder, again.Mix, again.Plan, again.Seed = "second", second.URL, nil, nil, Plan{}, 99
	if again.Plan.Replay, err = ReadRecording(path, 0); err != nil {
		t.Fatal(err)
	}
	if again.Plan.Planned() != n || again.Plan.Replay.Targets() {
		t.Errorf("%d planned, want %d", again.Plan.Planned(), n)
	}
	replayed := attackOnce(t, t.Context(), again)
	if replayed.Classes[Shed] != int(n) || len(replayed.Scenarios) != len(r.Scenarios) {
		t.Errorf("replayed: %+v", replayed)
	}
	want, got := first.of("first", n), second.of("second", n)
	for i := range want {
		if want[i] == "" || got[i] != want[i] {
			t.Fatalf("request %d was %q, is %q again", i, want[i], got[i])
		}
	}
	// The same times: those of the same seed's arrivals.
	p, q := newPacer(t.Context(), c), newPacer(t.Context(), again)
	if err := again.Plan.Replay.open(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		a, _ := p.next(i)
		b, ok := q.next(i)
		if a != b || !ok {
			t.Fatalf("request %d was due at %s, is due at %s, %v", i, a, b, ok)
		}
	}
	if _, more := q.next(n); more {
		t.Error("there is more to replay than was sent")
	}
	// -n ends a replay too.
	if again.Plan.Replay, err = ReadRecording(path, 5); err != nil {
		t.Fatal(err)
	}
	if r := attackOnce(t, t.Context(), again); r.Sent != 5 || r.Planned != 5 {
		t.Errorf("%d of %d sent, want 5", r.Sent, r.Planned)
	}
	if _, err := NewRecorder(path, "x"); !os.IsExist(err) {
		t.Errorf("a second recording in the same file: %v", err)
	}
}

func TestReadRecording(t *testing.T) {
	t.Parallel()
	const head = `{"soundcheck":"recording","version":1}` + "\n"
	for _, tt := range []struct{ in, err string }{
		{head + `{"due_ns":1,"scenario":"get","method":"GET","path":"/albums/1","want":200}`, ""},
		{head + `{"due_ns":1,"scenario":"target","method":"GET","path":"http://x/"}`, ""},
		{"", "that is no recording"},
		{"{}", "that is no recording"},
		{`{"soundcheck":"recording","version":2}`, "it is of version 2, not 1"},
		{head, "there is no request in it"},
		{head + "x", "line 2: invalid character"},
		{head + `{"due_ns":5,"scenario":"get","method":"GET","path":"/"}{"due_ns":4,"scenario":"get","method":"GET","path":"/"}`, "line 3: due_ns is before the line above it, or after 24h"},
		{head + `{"due_ns":99000000000000000,"scenario":"get","path":"/"}`, "line 2: due_ns is before"},
		{head + `{"scenario":"buy","path":"/"}`, `line 2: there is no scenario "buy"`},
		{head + `{"scenario":"get","method":"G ET","path":"/"}`, `line 2: "G ET" is no method`},
		{head + `{"scenario":"get","method":"GET","path":"/","headers":{"A":["b"]}}`, `line 2: json: unknown field "headers"`},
		{head + `{"scenario":"get","method":"GET","path":"/","header":{"host":["a"],"Host":["b"]}}`, "line 2: header Host appears 2 times"},
		{head + `{"scenario":"get","method":"GET","path":"x"}`, "line 2: the path does not begin with /"},
		{head + `{"scenario":"get","method":"GET","path":"/"}{"scenario":`, "line 3: unexpected EOF"},
	} {
		path := filepath.Join(t.TempDir(), "recording")
		if err := os.WriteFile(path, []byte(tt.in), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := ReadRecording(path, 0)
		if tt.err == "" && (err != nil || r.requests != 1) || tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
			t.Errorf("%q: %v, want %q", tt.in, err, tt.err)
		}
	}
	if _, err := ReadRecording(filepath.Join(t.TempDir(), "none"), 0); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}

// Trace ids follow from the run and the number, and no two are the same.
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

// A share of the traces is sampled, and the server is told, also where no spans are
// exported.
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
	c.Mix = Mix{"list": 1}
	c.Plan = steady(1000, time.Second)
	r := attackOnce(t, t.Context(), c)
	if r.Sent != 1000 || sampled[true]+sampled[false] != 1000 || sampled[true] < 200 || sampled[true] > 300 {
		t.Errorf("%d sent, sampled %v, want a quarter", r.Sent, sampled)
	}
}

// A recording of the closed model can be sent again, as an open plan.
func TestRecordClosed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(albums())
	defer server.Close()
	path := filepath.Join(t.TempDir(), "recording")
	c := testConfig(server.URL, tracetest.NewSpanRecorder())
	c.TracerProvider, c.Workers, c.Plan = nil, 32, Plan{Stages: []Stage{{Duration: time.Minute}}, Max: 2000}
	var err error
	if c.Recorder, err = NewRecorder(path, "run"); err != nil {
		t.Fatal(err)
	}
	r := attackOnce(t, t.Context(), c)
	if err := c.Recorder.Close(); err != nil {
		t.Fatal(err)
	}
	rec, err := ReadRecording(path, 0)
	if err != nil || rec.requests != uint64(r.Sent) || r.Sent < 2000 {
		t.Errorf("%+v, %v, want %d requests", rec, err, r.Sent)
	}
}

// A request that is missing is not passed over in silence.
func TestRecorderWithAGap(t *testing.T) {
	t.Parallel()
	r, err := NewRecorder(filepath.Join(t.TempDir(), "recording"), "run")
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 0, 3, 4} {
		r.add(seq, entry{Scenario: "get", Method: "GET", Path: "/"})
	}
	if err := r.Close(); err == nil || err.Error() != "request 2 was never made: 2 after it are not recorded" {
		t.Errorf("%v", err)
	}
}

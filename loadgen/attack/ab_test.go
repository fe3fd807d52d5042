package attack

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// armed is a target that notes what is asked for: the same requests have the same count.
type armed struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // method, and body
}

// newArmed returns a target whose first new album has an id above another's.
func newArmed(t *testing.T, ids int64) *armed {
	t.Helper()
	seed := album.Seed()
	if ids > 0 {
		last := seed[0]
		last.ID = ids
		seed = append(seed, last)
	}
	h := albumhttp.Handler(album.NewMemory(seed...), albumhttp.HandlerOptions{Service: "album-store"})
	a := &armed{asked: map[string]int{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		a.mu.Lock()
		a.asked[r.Method+" "+string(b)]++
		a.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// Both targets get the same requests, and each only ids and pages that are its own: else
// some would be answered 404.
func TestAB(t *testing.T) {
	t.Parallel()
	a, b := newArmed(t, 0), newArmed(t, 1_000_000)
	c := testConfig("", tracetest.NewSpanRecorder())
	c.Mix = Mix{"get": 4, "create": 3, "update": 1, "delete": 1, "page": 2}
	c.WarmUp = 400 * time.Millisecond
	c.Plan = steady(300, c.WarmUp+1600*time.Millisecond)
	r, err := AB(t.Context(), c, a.URL, b.URL, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 480 || r.WarmUp != 120 || r.Classes[Good] != 480 || len(r.A) != 4 || len(r.B) != 4 {
		t.Errorf("%d requests after %d, %v, %d and %d blocks, want 480 after 120, all good, 4 and 4", r.Sent, r.WarmUp, r.Classes, len(r.A), len(r.B))
	}
	for i := range r.A {
		for _, block := range []struct {
			name string
			good int
			s    float64
		}{{"A", r.A[i].Good, r.A[i].Seconds}, {"B", r.B[i].Good, r.B[i].Seconds}} {
			if block.good != 60 || block.s != 0.2 {
				t.Errorf("block %d of %s has %d good requests in %g s, want 60 in 0.2", i, block.name, block.good, block.s)
			}
		}
	}
	if !maps.Equal(a.asked, b.asked) {
		t.Errorf("A was asked for %v, B for %v", a.asked, b.asked)
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	for warmUp, want := range map[time.Duration]string{
		0:                       "ABBAABBA",
		4 * time.Second:         "ABBAABBA",
		1500 * time.Millisecond: "BAABBAAB",
	} {
		at, got := turns(warmUp, time.Second), ""
		for i := range 8 {
			got += string('A' + rune(at(time.Duration(i)*time.Second)))
		}
		if got != want {
			t.Errorf("after %s: %s, want %s", warmUp, got, want)
		}
	}
}

// What is reported of an attack that was interrupted are its whole quads.
func TestInTurns(t *testing.T) {
	t.Parallel()
	s := &intervals{width: time.Second}
	for i := range 10 {
		s.add(time.Duration(i)*time.Second, Good, time.Duration(i+1)*time.Millisecond)
	}
	for elapsed, want := range map[time.Duration]string{
		-time.Second: "[] []", 3900 * time.Millisecond: "[] []", 9 * time.Second: "[1 1 1 1] [1 1 1 1]", 12 * time.Second: "[1 1 1 1 1 0] [1 1 1 1 1 0]",
	} {
		arms, err := (&Report{Sent: 10, Intervals: s.report(Plan{}, 0)}).inTurns(elapsed, time.Second, 1)
		var good [2][]int
		for i, arm := range arms {
			for _, b := range arm {
				good[i] = append(good[i], b.Good)
			}
		}
		if got := fmt.Sprint(good[0], good[1]); err != nil || got != want {
			t.Errorf("after %s: %s, %v, want %s", elapsed, got, err, want)
		}
	}
}

// An interval counts as long as the plan was in it, and those without requests count too.
func TestBlocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		r    Report
		due  []time.Duration
		want string // seconds
	}{
		{"whole", Report{Stages: "3s@1", Planned: 3, Elapsed: 2.9}, []time.Duration{0, 1, 2}, "[1 1 1]"},
		{"half of the last", Report{Stages: "2.5s@2", Planned: 5, Elapsed: 12}, []time.Duration{0, 1, 2}, "[1 1 0.5]"},
		{"nothing at the end", Report{Stages: "1s@1,2s@0", Planned: 1, Elapsed: 3}, []time.Duration{0}, "[1 1 1]"},
		{"interrupted", Report{Stages: "1h@1", Planned: 3600, Elapsed: 1.5}, []time.Duration{0, 1}, "[1 0.5]"},
		{"after a warm-up", Report{Stages: "3.5s@2", Planned: 7, Elapsed: 9, WarmUp: 1, WarmUpTime: 1}, []time.Duration{0, 1, 2}, "[1 1 0.5]"},
		{"the closed model", Report{Elapsed: 1.25}, []time.Duration{0, 1}, "[1 0.25]"},
	} {
		s := &intervals{width: time.Second}
		for _, due := range tt.due {
			s.add(due*time.Second, Good, time.Millisecond)
		}
		tt.r.Sent, tt.r.Intervals = len(tt.due), s.report(Plan{}, 0)
		counted := tt.r.Elapsed
		if tt.name == "whole" {
			counted = 3
		}
		if tt.r.WarmUp > 0 {
			counted -= 1
		}
		tt.r.Reached = float64(tt.r.Sent) / counted
		list, err := tt.r.blocks()
		var got []float64
		for _, b := range list {
			got = append(got, b.Seconds)
		}
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestBlocksErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    Report
		want string
	}{
		{Report{Sent: 1}, "has no intervals"},
		{Report{Intervals: []Interval{{}}}, "lasts 0 s"},
		{Report{Intervals: []Interval{{Seconds: 1, HDR: "x"}}}, "interval 1 of the run r: "},
		{Report{Intervals: []Interval{{Seconds: 1, Classes: map[Class]int{Good: 1}}}}, "has no times"},
		{Report{Intervals: make([]Interval, 601)}, "more than 600"},
	} {
		tt.r.RunID = "r"
		if _, err := Compare(&Report{}, &tt.r, 0.05); err == nil || !strings.HasPrefix(err.Error(), "B: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Compare = %v, want one about %q", err, tt.want)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	a := Report{RunID: "a", Model: "open", Stages: "30s@100", Scenarios: []Row{{Name: "get", Requests: 2100}, {Name: "list", Requests: 900}}}
	same := a
	same.RunID, same.Scenarios = "b", []Row{{Name: "get", Requests: 2085}, {Name: "list", Requests: 915}}
	if got := differences(&a, &same); len(got) != 0 {
		t.Errorf("differences = %q, want none", got)
	}
	b := Report{RunID: "a", Model: "closed", Workers: 2, SLOs: []Verdict{{SLO: "p99<1s"}, {SLO: "good>99%"}}, Retries: Retries{Policy: RetryNaive}, Scenarios: []Row{{Name: "get", Requests: 2000}, {Name: "list", Requests: 1000}}}
	got := strings.Join(differences(&a, &b), "\n")
	const want = `not the same model: A has open, B has closed
not the same stages: A has 30s@100, B has none
not the same number of workers: A has 0, B has 2
not the same retries: A has none, B has naive
not the same objectives: A has none, B has p99<1s,good>99%
not the same mix: A has get=70.0%,list=30.0%, B has get=66.7%,list=33.3%
A and B are the same run`
	if got != want {
		t.Errorf("differences =\n%s, want\n%s", got, want)
	}
}

func TestFailuresText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    Report
		want string
	}{
		{Report{Sent: 9}, ""},
		{Report{Sent: 9, Cancelled: 1, Classes: map[Class]int{Failed: 3, Shed: 1}, Errors: map[string]int{"timeout": 1, "status 500 for get": 2, "status 503 for get": 1}},
			"4 of 8 requests failed or were refused, 2 of them: status 500 for get"},
		{Report{Sent: 9, Classes: map[Class]int{Failed: 3}}, "3 of 9 requests failed or were refused"},
	} {
		if got := tt.r.failures(); got != tt.want {
			t.Errorf("failures = %q, want %q", got, tt.want)
		}
	}
}

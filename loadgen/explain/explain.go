// Package explain attributes tail latency: it fetches the traces of slow and of typical
// requests from Jaeger, computes the critical path of each, and compares the two groups.
package explain

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"soundcheck/internal/criticalpath"
)

// Request is a request whose trace is fetched.
type Request struct {
	TraceID   string
	SpanID    string        `json:",omitempty"` // of the request's topmost span; "": the root of the trace
	Response  time.Duration // scheduled → end of the response
	SendDelay time.Duration // scheduled → sent
	// Since the start of the root span: connection ready, first byte of the response; 0:
	// unknown.
	Connected, FirstByte time.Duration
}

// Group has the compared requests of a scenario.
type Group struct {
	Scenario string
	Slow     []Request
	Typical  []Request
}

// Attribution splits the difference between slow and typical requests of a scenario by span.
// Times are in seconds; the causes' differences add up to Difference.
type Attribution struct {
	Scenario   string  `json:"scenario"`
	Slow       int     `json:"slow"`          // requests
	Typical    int     `json:"typical"`       // requests
	SlowFound  int     `json:"slow_found"`    // complete traces
	Found      int     `json:"typical_found"` // complete traces
	Missing    string  `json:"missing,omitempty"`
	Difference float64 `json:"difference"` // of the mean response times
	Causes     []Cause `json:"causes"`     // largest first
}

// Cause is a part of the difference, in seconds; Share is a share of 1.
type Cause struct {
	Part
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"` // 95% interval (bootstrap over traces)
	High       float64 `json:"high"`
	Share      float64 `json:"share"` // of Difference
	TraceID    string  `json:"trace_id"`
}

// Parts of the client.
var (
	sendDelayPart  = Part{"loadgen", "send delay", "generator"}
	connectionPart = Part{"loadgen", "connection wait", "client"}
	firstBytePart  = Part{"loadgen", "first byte wait", "client"}
	bodyPart       = Part{"loadgen", "body", "client"}
	restPart       = Part{"loadgen", "outside the trace", "generator"}
)

const (
	// Programs export spans in batches, by default every 5 s. After settled the spans of the
	// last requests have arrived; a trace without new spans for stable is complete then.
	settled = 6 * time.Second
	stable  = time.Second
	// The first query is at settled-stable. The waits after it grow, to limit the load on
	// Jaeger by traces that never arrive.
	waitGrowth = 1.5
	maxWait    = 4 * time.Second

	perRequest = 20 // max traces per query
	resamples  = 1000
	confidence = 0.95
)

// Explain fetches the traces of the groups and compares them. It waits until they are
// complete, ctx ends, or no new span arrived for patience.
func Explain(ctx context.Context, j Jaeger, groups []Group, patience time.Duration) []Attribution {
	traces := fetch(ctx, j, groups, patience)
	attributions := make([]Attribution, 0, len(groups))
	for _, g := range groups {
		attributions = append(attributions, compare(g, traces))
	}
	return attributions
}

// fetched is a trace so far.
type fetched struct {
	spans   []criticalpath.Span
	updated time.Time // last new span
	done    bool      // not queried any more: complete, or Jaeger cannot return it
	err     error
}

// fetcher polls Jaeger for traces.
type fetcher struct {
	Jaeger
	traces map[string]fetched
	began  time.Time
	last   time.Time       // last new span
	single map[string]bool // queried one by one without success
}

// fetch polls for the traces until they are complete.
func fetch(ctx context.Context, j Jaeger, groups []Group, patience time.Duration) map[string]fetched {
	var open []string
	for _, g := range groups {
		for _, r := range slices.Concat(g.Slow, g.Typical) {
			if r.TraceID != "" {
				open = append(open, r.TraceID)
			}
		}
	}
	now := time.Now()
	f := fetcher{Jaeger: j, traces: map[string]fetched{}, began: now, last: now, single: map[string]bool{}}
	for wait, next := min(settled-stable, patience), stable; len(open) > 0 && sleep(ctx, wait); wait = next {
		if wait == next {
			next = min(time.Duration(waitGrowth*float64(next)), maxWait)
		}
		for ids := range slices.Chunk(open, perRequest) {
			if err := f.look(ctx, ids); err != nil && len(ids) > 1 {
				f.split(ctx, ids)
			}
		}
		open = slices.DeleteFunc(open, func(id string) bool { return f.traces[id].done })
		if time.Since(f.last) > patience {
			break
		}
	}
	return f.traces
}

// look queries traces.
func (f *fetcher) look(ctx context.Context, ids []string) error {
	found, err := f.Traces(ctx, ids)
	for _, id := range ids {
		// A trace is complete with one root and no new spans.
		t, spans := f.traces[id], found[id]
		t.err = err
		if len(spans) > len(t.spans) {
			t.spans, t.updated = spans, time.Now()
			f.last = t.updated
		}
		_, complete := criticalpath.Root(spans)
		t.done = err == nil && complete && time.Since(f.began) >= settled && time.Since(t.updated) >= stable
		f.traces[id] = t
	}
	return err
}

// split queries traces one by one after an error, which one too large trace can cause. If
// all queries fail, the error is not about a single trace, and split does not retry.
func (f *fetcher) split(ctx context.Context, ids []string) {
	if !slices.ContainsFunc(ids, func(id string) bool { return !f.single[id] }) {
		return
	}
	var failed []string
	for _, id := range ids {
		if f.look(ctx, []string{id}) != nil {
			failed = append(failed, id)
		}
	}
	for _, id := range failed {
		if len(failed) == len(ids) {
			f.single[id] = true
			continue
		}
		t := f.traces[id]
		t.done = true
		f.traces[id] = t
	}
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// sample is the response time of a request by part, in seconds.
type sample struct {
	id    string
	total float64
	parts map[Part]float64
}

func samples(list []Request, traces map[string]fetched) (found []sample, missing string) {
	for _, r := range list {
		f := traces[r.TraceID]
		first, ok := top(f.spans, r.SpanID)
		switch {
		case r.TraceID == "":
			missing = "traces not sampled"
			continue
		case !ok && f.err != nil:
			missing = f.err.Error()
			continue
		case !ok:
			missing = "traces incomplete or not in Jaeger"
			continue
		}
		s := sample{r.TraceID, r.Response.Seconds(), map[Part]float64{sendDelayPart: r.SendDelay.Seconds()}}
		for _, p := range criticalpath.Path(f.spans, first) {
			if p.Span.ID == first.ID && r.FirstByte > 0 {
				r.split(p, s.parts)
				continue
			}
			s.parts[Part{p.Span.Service, p.Span.Name, p.Span.Kind}] += p.To.Sub(p.From).Seconds()
		}
		s.parts[restPart] = (r.Response - first.End.Sub(first.Start) - r.SendDelay).Seconds()
		found = append(found, s)
	}
	return found, missing
}

// split splits a part of the client span: wait for a connection, wait for the first byte of
// the response (network, and the server before its span starts), and the rest of the response.
func (r Request) split(blamed criticalpath.Part, parts map[Part]float64) {
	s, from, to := blamed.Span, blamed.From, blamed.To
	for _, p := range []struct {
		part       Part
		begin, end time.Time
	}{
		{connectionPart, s.Start, s.Start.Add(r.Connected)},
		{firstBytePart, s.Start.Add(r.Connected), s.Start.Add(r.FirstByte)},
		{bodyPart, s.Start.Add(r.FirstByte), s.End},
	} {
		begin, end := p.begin, p.end
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) || p.part == bodyPart {
			end = to
		}
		if begin.Before(end) {
			parts[p.part] += end.Sub(begin).Seconds()
		}
	}
}

func compare(g Group, traces map[string]fetched) Attribution {
	slow, missing := samples(g.Slow, traces)
	typical, alsoMissing := samples(g.Typical, traces)
	a := Attribution{Scenario: g.Scenario, Slow: len(g.Slow), Typical: len(g.Typical), SlowFound: len(slow), Found: len(typical), Missing: cmp.Or(missing, alsoMissing), Causes: []Cause{}}
	if len(slow) == 0 || len(typical) == 0 {
		return a
	}
	total := func(s sample) float64 { return s.total }
	a.Difference = mean(slow, total) - mean(typical, total)
	parts := map[Part]bool{}
	for _, s := range slices.Concat(slow, typical) {
		for p := range s.parts {
			parts[p] = true
		}
	}
	rng := rand.New(rand.NewPCG(1, 1)) // deterministic
	for p := range parts {
		of := func(s sample) float64 { return s.parts[p] }
		c := Cause{Part: p, Difference: mean(slow, of) - mean(typical, of)}
		if a.Difference != 0 {
			c.Share = c.Difference / a.Difference
		}
		c.TraceID = slices.MaxFunc(slow, func(x, y sample) int { return cmp.Compare(x.parts[p], y.parts[p]) }).id
		a.Causes = append(a.Causes, c)
	}
	slices.SortFunc(a.Causes, func(x, y Cause) int {
		return cmp.Or(cmp.Compare(y.Difference, x.Difference), cmp.Compare(fmt.Sprint(x.Part), fmt.Sprint(y.Part)))
	})
	for i := range a.Causes {
		of := func(s sample) float64 { return s.parts[a.Causes[i].Part] }
		a.Causes[i].Low, a.Causes[i].High = interval(rng, slow, typical, of)
	}
	return a
}

func mean(list []sample, of func(sample) float64) float64 {
	sum := 0.0
	for _, s := range list {
		sum += of(s)
	}
	return sum / float64(len(list))
}

// interval returns the bootstrap percentile interval of the difference of the means.
func interval(rng *rand.Rand, slow, typical []sample, of func(sample) float64) (low, high float64) {
	draw := func(list []sample) float64 {
		sum := 0.0
		for range list {
			sum += of(list[rng.IntN(len(list))])
		}
		return sum / float64(len(list))
	}
	all := make([]float64, resamples)
	for i := range all {
		all[i] = draw(slow) - draw(typical)
	}
	slices.Sort(all)
	tail := (1 - confidence) / 2
	return all[int(tail*resamples)], all[int((1-tail)*resamples)-1]
}

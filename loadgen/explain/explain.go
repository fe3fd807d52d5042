// Package explain says why some requests were slower than others: it looks up the
// traces of slow and of typical requests in Jaeger, finds out for each where its time
// went (its critical path), and compares the two groups.
package explain

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Request is one whose trace is looked up.
type Request struct {
	TraceID  string
	Response time.Duration // from when it was due to the end of its answer
	Lag      time.Duration // of that, until it was sent
	// Counted from the start of the trace's first span: when a connection was there, and
	// when the first byte of the answer came; both 0 if that is not known.
	Connected, FirstByte time.Duration
}

// Group are the requests of a scenario that are compared.
type Group struct {
	Scenario string
	Slow     []Request
	Typical  []Request
}

// Answer says where the slow requests of a scenario lost their time. Times are in
// seconds; the parts' differences add up to Difference.
type Answer struct {
	Scenario   string  `json:"scenario"`
	Slow       int     `json:"slow"`          // requests
	Typical    int     `json:"typical"`       // requests
	SlowFound  int     `json:"slow_found"`    // traces that were complete
	Found      int     `json:"typical_found"` // traces that were complete
	Missing    string  `json:"missing,omitempty"`
	Difference float64 `json:"difference"` // between the means of their response times
	Causes     []Cause `json:"causes"`     // the largest first
}

// Cause is a part of the difference, in seconds; Share is of 1.
type Cause struct {
	Part
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"` // 95% interval, by bootstrap over the traces
	High       float64 `json:"high"`
	Share      float64 `json:"share"` // of the whole difference
	TraceID    string  `json:"trace_id"`
}

// The client's own parts.
var (
	lagPart        = Part{"loadgen", "sent late", "generator"}
	connectionPart = Part{"loadgen", "connection wait", "client"}
	firstBytePart  = Part{"loadgen", "first byte wait", "client"}
	bodyPart       = Part{"loadgen", "body", "client"}
	restPart       = Part{"loadgen", "outside of the trace", "generator"}
)

const (
	// Spans come in batches, by default every 5 s. What a program that is configured so
	// has to tell of the last requests has come after settled; a trace to which nothing
	// came for stable is whole then.
	settled = 6 * time.Second
	stable  = time.Second
	// The first look is stable before settled. The waits after it grow, so that Jaeger,
	// which runs beside the target, is not loaded by traces that do not come.
	waitGrowth = 1.5
	maxWait    = 4 * time.Second

	perRequest = 20 // traces that Jaeger is asked for at once
	resamples  = 1000
	confidence = 0.95
)

// Explain looks up the traces of groups and compares them. It waits until they are
// complete, or ctx ends, or nothing more has come for patience.
func Explain(ctx context.Context, j Jaeger, groups []Group, patience time.Duration) []Answer {
	traces := fetch(ctx, j, groups, patience)
	answers := make([]Answer, 0, len(groups))
	for _, g := range groups {
		answers = append(answers, compare(g, traces))
	}
	return answers
}

// fetched is a trace as far as it came.
type fetched struct {
	spans   []Span
	updated time.Time // when something came last
	done    bool      // no longer asked for: it is whole, or Jaeger cannot return it
	err     error
}

// fetcher asks Jaeger for traces, again and again.
type fetcher struct {
	Jaeger
	traces map[string]fetched
	began  time.Time
	last   time.Time       // when something came
	single map[string]bool // asked for one by one, in vain
}

// fetch asks for the traces until they are whole.
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

// look asks for some traces at once.
func (f *fetcher) look(ctx context.Context, ids []string) error {
	found, err := f.Traces(ctx, ids)
	for _, id := range ids {
		// A trace is whole when nothing is missing above its spans, and nothing more comes.
		t, spans := f.traces[id], found[id]
		t.err = err
		if len(spans) > len(t.spans) {
			t.spans, t.updated = spans, time.Now()
			f.last = t.updated
		}
		_, complete := root(spans)
		t.done = err == nil && complete && time.Since(f.began) >= settled && time.Since(t.updated) >= stable
		f.traces[id] = t
	}
	return err
}

// split asks one by one for traces of which one or more cannot be returned, as one that is
// too large: the others are not lost with it. If none can, the error is not about one trace,
// and they are not asked for one by one again.
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

// sleep reports whether d went by before ctx ended.
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

// sample is where the time of one request went, in seconds.
type sample struct {
	id    string
	total float64
	parts map[Part]float64
}

func samples(list []Request, traces map[string]fetched) (found []sample, missing string) {
	for _, r := range list {
		f := traces[r.TraceID]
		top, ok := root(f.spans)
		switch {
		case r.TraceID == "":
			missing = "their traces are not sampled"
			continue
		case !ok && f.err != nil:
			missing = f.err.Error()
			continue
		case !ok:
			missing = "their traces did not come, or not completely"
			continue
		}
		s := sample{r.TraceID, r.Response.Seconds(), map[Part]float64{lagPart: r.Lag.Seconds()}}
		criticalPath(f.spans, top, func(span Span, from, to time.Time) {
			if span.ID == top.ID && r.FirstByte > 0 {
				r.split(span, from, to, s.parts)
				return
			}
			s.parts[Part{span.Service, span.Name, span.Kind}] += to.Sub(from).Seconds()
		})
		s.parts[restPart] = (r.Response - top.End.Sub(top.Start) - r.Lag).Seconds()
		found = append(found, s)
	}
	return found, missing
}

// split says what a part of the client span itself was: the wait for a connection, for
// the first byte of the answer (where no server's span tells more: the network, and
// the server before its span), and for the rest of the answer.
func (r Request) split(s Span, from, to time.Time, parts map[Part]float64) {
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

func compare(g Group, traces map[string]fetched) Answer {
	slow, missing := samples(g.Slow, traces)
	typical, alsoMissing := samples(g.Typical, traces)
	a := Answer{Scenario: g.Scenario, Slow: len(g.Slow), Typical: len(g.Typical), SlowFound: len(slow), Found: len(typical), Missing: cmp.Or(missing, alsoMissing), Causes: []Cause{}}
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
	rng := rand.New(rand.NewPCG(1, 1)) // the same traces are answered the same
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

// interval is where the difference of the means lies, had other requests been slow and
// typical: the bootstrap's percentiles.
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

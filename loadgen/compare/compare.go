// Package compare tells whether one target answers slower than another: the
// differences of p50, p99 and goodput between two sides, each with a 95% interval and
// the smallest effect that could have been seen.
//
// Requests of the same second are slow together, so that single ones say little of how
// much would differ the next time. What is drawn again and again, with replacement, is
// therefore whole blocks of time (the block bootstrap), and for each draw the
// difference is computed from the pooled times of its blocks.
//
// There are two designs. Of two runs each is drawn by itself, in stretches of
// neighbouring blocks, because one second is like the next (Politis and Romano, A
// Circular Block-Resampling Procedure, 1992). A stretch is as long as the cube root of
// the number of blocks. In a run on both sides in turn, in the order A B B A, what is
// drawn is such quads: what slows the machine slows both sides of a quad alike, and a
// steady drift cancels within it.
//
// Percentiles of a bootstrap from few blocks are too close together. They are taken
// further out, by as much as Student's t asks for (Hesterberg, What Teachers Should Know
// About the Bootstrap, 2014, "expanded percentile interval").
//
// The smallest effect is the one that 80% of such comparisons tell from none: 1.96 + 0.84
// standard errors of the difference, or, from few blocks, as much more as Student's t is.
package compare

import (
	"fmt"
	"math"
)

// Block is what became of the requests in one part of the time.
type Block struct {
	Good    int
	Seconds float64 // of the part
	Served  []Times // in any order
}

// Times is how many requests were answered after a time, in nanoseconds.
type Times struct{ Value, Count int64 }

// Answer is what a comparison says of B.
type Answer string

// A metric regressed if its interval is wholly beyond the tolerance on the worse side,
// and is better if it is wholly beyond it on the other. It is the same if nothing in the
// interval is worse than the tolerance. Else nobody knows.
const (
	Same         Answer = "same"
	Better       Answer = "better"
	Regressed    Answer = "regressed"
	Inconclusive Answer = "inconclusive"
)

// Version is that of a Result's JSON. It changes when a field changes its meaning or
// goes away, not when one is added.
const Version = 1

// What is needed for an interval.
const (
	MinUnits = 8  // stretches of a run, or quads
	minTail  = 10 // served requests slower than a percentile
	// minBursts is of how many blocks they have to tell. A
	// percentile that a few stalls decide, each of which made many requests slow, would be
	// another one with the next stall, and a bootstrap does not know of that.
	minBursts = 6
)

// resamples is how often blocks are drawn.
const resamples = 2000

// comparison is what is compared, and how.
type comparison struct {
	A, B      Side    // A is the baseline
	Tolerance float64 // a share: what B may be worse by
	Invalid   []string
	Warnings  []string
}

// Side is one of two that are compared.
type Side struct {
	Name    string  `json:"name"` // of the run, or the target
	Seconds float64 `json:"seconds"`
	Good    int     `json:"good"`
	Served  float64 `json:"served"` // requests, late ones too
	Blocks  []Block `json:"-"`      // in order of time
}

// Result is what came of a comparison. Shares are of A's value.
//
// Fields may be added to its JSON; Version changes if one changes its meaning or goes.
type Result struct {
	Version   int      `json:"version"`
	Design    string   `json:"design"` // runs: of two runs; abba: of one on both in turn
	Answer    Answer   `json:"answer"` // regressed if a metric did, else inconclusive if one is, as all are if Invalid
	Tolerance float64  `json:"tolerance"`
	Invalid   []string `json:"invalid,omitempty"`  // why the numbers cannot be trusted
	Warnings  []string `json:"warnings,omitempty"` // in what else than the target the sides differ
	A         Side     `json:"a"`
	B         Side     `json:"b"`
	Units     int      `json:"units"` // independent parts of the shorter run, or quads
	Drawn     string   `json:"drawn"` // what was drawn, for people
	Metrics   []Metric `json:"metrics"`
}

// Metric is one of p50 and p99 of the served requests' response times, in seconds, and
// goodput, in good answers a second.
type Metric struct {
	Name     string    `json:"name"`
	A        float64   `json:"a"`
	B        float64   `json:"b"`
	Answer   Answer    `json:"answer"`
	Found    *Interval `json:"found,omitempty"`
	NotFound string    `json:"not_found,omitempty"` // why there is no interval
}

// Interval is a relative difference, (B-A)/A, with its 95% interval, and the smallest
// effect that 80% of such comparisons tell from none.
type Interval struct {
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Smallest   float64 `json:"smallest_effect"`
}

// runs compares two runs.
func (c comparison) runs() *Result {
	a, b := newSide(&c.A), newSide(&c.B)
	la, lb := stretch(len(c.A.Blocks)), stretch(len(c.B.Blocks))
	r := c.result("runs", min(len(c.A.Blocks)/la, len(c.B.Blocks)/lb))
	r.Drawn = fmt.Sprintf("%d blocks of A in stretches of %d, and %d of B in stretches of %d", len(c.A.Blocks), la, len(c.B.Blocks), lb)
	short := ""
	if r.Units < MinUnits {
		short = fmt.Sprintf("too few blocks of time: %d and %d, of which each run needs %d", len(c.A.Blocks), len(c.B.Blocks), MinUnits*stretch(MinUnits*2))
	}
	r.fill(a, b, short, func(d *draw) {
		d.circular(d.a, la)
		d.circular(d.b, lb)
	})
	return r
}

// stretch is how many neighbouring blocks are drawn together.
func stretch(blocks int) int { return max(int(math.Cbrt(float64(blocks))+1e-9), 1) }

// quads compares two targets that were attacked in turn. A quad is two blocks of A, the
// first and the last, and the two of B between them.
func (c comparison) quads() *Result {
	n := min(len(c.A.Blocks), len(c.B.Blocks)) / 2
	c.A.Blocks, c.B.Blocks = c.A.Blocks[:2*n], c.B.Blocks[:2*n]
	a, b := newSide(&c.A), newSide(&c.B)
	r := c.result("abba", n)
	r.Drawn = fmt.Sprintf("%d quads of blocks (A B B A)", n)
	short := ""
	if n < MinUnits {
		short = fmt.Sprintf("too few quads: %d, of which %d are needed", n, MinUnits)
	}
	r.fill(a, b, short, (*draw).quads)
	return r
}

// result is all but the metrics. The sides have been summed up.
func (c *comparison) result(design string, units int) *Result {
	return &Result{Version: Version, Design: design, Tolerance: c.Tolerance, Invalid: c.Invalid, Warnings: c.Warnings,
		A: c.A, B: c.B, Units: units}
}

// metrics are what is compared.
var metrics = []struct {
	name     string
	quantile float64 // 0: goodput
	worse    float64 // the sign of a change for the worse
}{{"p50", 0.5, 1}, {"p99", 0.99, 1}, {"goodput", 0, -1}}

// fill computes the metrics. Short is why there are no intervals.
func (r *Result) fill(a, b *side, short string, next func(*draw)) {
	found := make([]*Interval, len(metrics))
	if short == "" {
		found = intervals(a, b, r.Units, next)
	}
	for i, m := range metrics {
		x := Metric{Name: m.name, A: a.value(nil, i), B: b.value(nil, i), Answer: Inconclusive, Found: found[i], NotFound: short}
		tail := min(a.total, b.total) * (1 - m.quantile)
		switch {
		case short != "":
		case m.quantile > 0 && tail < minTail-1e-6:
			x.NotFound = fmt.Sprintf("too few requests were served: %.0f and %.0f; %s needs %.0f", a.total, b.total, m.name, math.Round(minTail/(1-m.quantile)))
		case m.quantile > 0 && few(a, b, m.quantile) != "":
			x.NotFound = few(a, b, m.quantile)
		case x.A == 0:
			x.NotFound = "A has none, of which a difference could be a share"
		case x.Found == nil:
			x.NotFound = "in too many blocks no request was served"
		default:
			x.Answer = x.Found.judge(m.worse, r.Tolerance)
		}
		if len(r.Invalid) > 0 { // what the generator did is not what the targets did
			x.Answer = Inconclusive
		}
		if x.NotFound != "" {
			x.Found = nil
		}
		r.Metrics = append(r.Metrics, x)
	}
	r.Answer = r.overall()
}

// few says that a percentile is decided by too few bursts, if it is.
func few(a, b *side, q float64) string {
	na, nb := a.bursts(q), b.bursts(q)
	if min(na, nb) >= minBursts {
		return ""
	}
	return fmt.Sprintf("the slowest %.4g%% came in few bursts: of A as if in %.1f, of B as if in %.1f blocks; %d are needed", 100*(1-q), na, nb, minBursts)
}

func (f *Interval) judge(worse, tolerance float64) Answer {
	low, high := f.Low, f.High
	if worse < 0 {
		low, high = -high, -low
	}
	switch {
	case low > tolerance:
		return Regressed
	case high < -tolerance:
		return Better
	case high <= tolerance:
		return Same
	}
	return Inconclusive
}

func (r *Result) overall() Answer {
	have := map[Answer]bool{}
	for _, m := range r.Metrics {
		have[m.Answer] = true
	}
	for _, a := range []Answer{Regressed, Inconclusive, Better} {
		if have[a] {
			return a
		}
	}
	return Same
}

// Package compare compares the latency and goodput of two targets: the differences of p50,
// p99 and goodput, each with a 95% interval and the smallest detectable effect.
//
// Requests of the same second are correlated. Resampling single requests would make the
// intervals too narrow. Therefore it resamples blocks of time with replacement (block
// bootstrap), and computes the difference from the pooled times of the blocks.
//
// There are two designs. Two runs are resampled independently, in stretches of neighbouring
// blocks, because consecutive seconds are correlated (Politis and Romano, A Circular
// Block-Resampling Procedure, 1992). A stretch has the length of the cube root of the number
// of blocks. In an A/B run, with blocks in the order A B B A, the resampled unit is the quad:
// noise of the machine affects both sides of a quad, and a linear drift cancels within it.
//
// Percentile intervals from few blocks are too narrow. They are widened by Student's t
// (Hesterberg, What Teachers Should Know About the Bootstrap, 2014, "expanded percentile
// interval").
//
// The smallest detectable effect has a power of 80%: 1.96 + 0.84 standard errors of the
// difference, widened by Student's t for few blocks.
package compare

import (
	"fmt"
	"math"
)

// Block counts the requests of one part of the run.
type Block struct {
	Good    int
	Seconds float64 // duration
	Served  []Times // in any order
}

// Times is the number of requests with a response time, in nanoseconds.
type Times struct{ Value, Count int64 }

// Verdict is the verdict on B.
type Verdict string

// A metric regressed if its whole interval is worse than the tolerance, and is better if its
// whole interval is better than the tolerance. It is the same if no part of the interval is
// worse than the tolerance. Else it is inconclusive.
const (
	Same         Verdict = "same"
	Better       Verdict = "better"
	Regressed    Verdict = "regressed"
	Inconclusive Verdict = "inconclusive"
)

// Version is that of a Result's JSON. It changes when a field changes its meaning or
// goes away, not when one is added.
const Version = 1

// Requirements for an interval.
const (
	MinUnits = 8  // independent stretches of a run, or quads
	minTail  = 10 // served requests above a percentile
	// minBursts is the min effective number of blocks with requests above a percentile. A
	// percentile decided by a few stalls changes with the next stall, which the bootstrap cannot
	// know.
	minBursts = 6
)

// resamples is the number of bootstrap resamples.
const resamples = 2000

// comparison is the input of a comparison.
type comparison struct {
	A, B      Side    // A is the baseline
	Tolerance float64 // accepted regression, a share of A's value
	Invalid   []string
	Warnings  []string
}

// Side is A or B.
type Side struct {
	Name    string  `json:"name"` // run or target
	Seconds float64 `json:"seconds"`
	Good    int     `json:"good"`
	Served  float64 `json:"served"` // requests: good and late
	Blocks  []Block `json:"-"`      // in order of time
}

// Result is the result of a comparison. Shares are of A's value.
type Result struct {
	Version   int      `json:"version"`
	Design    string   `json:"design"`  // runs: two runs; abba: one A/B run
	Verdict   Verdict  `json:"verdict"` // of all metrics: the first of regressed, inconclusive, better, same that one has
	Tolerance float64  `json:"tolerance"`
	Invalid   []string `json:"invalid,omitempty"`  // reasons; they make each metric inconclusive
	Warnings  []string `json:"warnings,omitempty"` // other differences than the target
	A         Side     `json:"a"`
	B         Side     `json:"b"`
	Units     int      `json:"units"`     // independent stretches of the shorter run, or quads
	Resampled string   `json:"resampled"` // resampled units, as text
	Metrics   []Metric `json:"metrics"`
}

// Metric is p50 or p99 of the served requests' response times, in seconds, or goodput, in
// req/s.
type Metric struct {
	Name     string    `json:"name"`
	A        float64   `json:"a"`
	B        float64   `json:"b"`
	Verdict  Verdict   `json:"verdict"`
	Found    *Interval `json:"found,omitempty"`
	NotFound string    `json:"not_found,omitempty"` // reason for no interval
}

// Interval is a relative difference, (B-A)/A, with its 95% interval and the smallest
// detectable effect.
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
	r.Resampled = fmt.Sprintf("%d blocks of A in stretches of %d, and %d of B in stretches of %d", len(c.A.Blocks), la, len(c.B.Blocks), lb)
	short := ""
	if r.Units < MinUnits {
		short = fmt.Sprintf("too few blocks: %d and %d; each run needs %d", len(c.A.Blocks), len(c.B.Blocks), MinUnits*stretch(MinUnits*2))
	}
	r.fill(a, b, short, func(d *draw) {
		d.circular(d.a, la)
		d.circular(d.b, lb)
	})
	return r
}

// stretch is the number of neighbouring blocks in a resampled unit.
func stretch(blocks int) int { return max(int(math.Cbrt(float64(blocks))+1e-9), 1) }

// quads compares two targets of an A/B run. A quad is A B B A.
func (c comparison) quads() *Result {
	n := min(len(c.A.Blocks), len(c.B.Blocks)) / 2
	c.A.Blocks, c.B.Blocks = c.A.Blocks[:2*n], c.B.Blocks[:2*n]
	a, b := newSide(&c.A), newSide(&c.B)
	r := c.result("abba", n)
	r.Resampled = fmt.Sprintf("%d quads of blocks (A B B A)", n)
	short := ""
	if n < MinUnits {
		short = fmt.Sprintf("too few quads: %d; %d are needed", n, MinUnits)
	}
	r.fill(a, b, short, (*draw).quads)
	return r
}

// result returns a result without metrics. The sides must be complete.
func (c *comparison) result(design string, units int) *Result {
	return &Result{Version: Version, Design: design, Tolerance: c.Tolerance, Invalid: c.Invalid, Warnings: c.Warnings,
		A: c.A, B: c.B, Units: units}
}

// metrics are the compared metrics.
var metrics = []struct {
	name     string
	quantile float64 // 0: goodput
	worse    float64 // sign of a regression
}{{"p50", 0.5, 1}, {"p99", 0.99, 1}, {"goodput", 0, -1}}

// fill computes the metrics. Short is a reason for no intervals; "": none.
func (r *Result) fill(a, b *side, short string, next func(*draw)) {
	found := make([]*Interval, len(metrics))
	if short == "" {
		found = intervals(a, b, r.Units, next)
	}
	for i, m := range metrics {
		x := Metric{Name: m.name, A: a.value(nil, i), B: b.value(nil, i), Verdict: Inconclusive, Found: found[i], NotFound: short}
		tail := min(a.total, b.total) * (1 - m.quantile)
		switch {
		case short != "":
		case m.quantile > 0 && tail < minTail-1e-6:
			x.NotFound = fmt.Sprintf("too few served requests: %.0f and %.0f; %s needs %.0f", a.total, b.total, m.name, math.Round(minTail/(1-m.quantile)))
		case m.quantile > 0 && few(a, b, m.quantile) != "":
			x.NotFound = few(a, b, m.quantile)
		case x.A == 0:
			x.NotFound = "0 in A: no relative difference"
		case x.Found == nil:
			x.NotFound = "too many blocks without served requests"
		default:
			x.Verdict = x.Found.judge(m.worse, r.Tolerance)
		}
		if len(r.Invalid) > 0 { // the numbers are the generator's
			x.Verdict = Inconclusive
		}
		if x.NotFound != "" {
			x.Found = nil
		}
		r.Metrics = append(r.Metrics, x)
	}
	r.Verdict = r.overall()
}

// few returns a reason if too few bursts decide a percentile.
func few(a, b *side, q float64) string {
	na, nb := a.bursts(q), b.bursts(q)
	if min(na, nb) >= minBursts {
		return ""
	}
	return fmt.Sprintf("slowest %.4g%% in too few bursts: effectively %.1f blocks of A, %.1f of B; %d are needed", 100*(1-q), na, nb, minBursts)
}

func (f *Interval) judge(worse, tolerance float64) Verdict {
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

func (r *Result) overall() Verdict {
	have := map[Verdict]bool{}
	for _, m := range r.Metrics {
		have[m.Verdict] = true
	}
	for _, a := range []Verdict{Regressed, Inconclusive, Better} {
		if have[a] {
			return a
		}
	}
	return Same
}

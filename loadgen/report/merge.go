package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/slo"
)

// Merge combines the reports of several processes with the same target at the same time:
// the shards of a plan, or one plan each. It merges the histograms, so that percentiles are
// exact. The result is invalid if one report is. It has no tail-latency attribution.
func Merge(reports []*Report) (*Report, error) {
	m := NewMerger()
	for _, r := range reports {
		if err := m.Add(r); err != nil {
			return nil, err
		}
	}
	return m.Finish()
}

// Merger combines reports one by one, as Merge does. It does not store them, so that its
// size hardly depends on their number. It is for one goroutine.
type Merger struct {
	// Intervals, if not nil, returns the intervals of a scenario, for its SLOs. Reports have
	// only those of all scenarios.
	Intervals func(scenario string) []*measure.Interval
	// Together: a coordinator has run the shards as one run. It ends them early together, as one process
	// would, and knows itself which are missing.
	Together bool

	r          *Report // so far; nil: no report
	results    *measure.Results
	runs       []run
	objectives string                    // of each report
	slos       []string                  // the same
	violated   map[string]blame          // by SLO
	span       float64                   // the longest sending time, in seconds
	targets    map[float64]float64       // sum of the target rates by start of the interval
	candidates map[string]*explain.Group // by scenario
}

// run identifies a merged report.
type run struct {
	id, shard string
	startedAt time.Time
	workers   int
}

// blame is who violated an SLO in single reports.
type blame struct{ generator, target bool }

// NewMerger returns a merger without reports.
func NewMerger() *Merger {
	return &Merger{results: measure.NewResults(), violated: map[string]blame{}, targets: map[float64]float64{}, candidates: map[string]*explain.Group{}}
}

// Add merges a report of a file or of DecodePart. After an error the merger is as before.
func (m *Merger) Add(r *Report) error {
	if err := m.check(r); err != nil {
		return err
	}
	decoded := r.packed
	if r.packed = nil; decoded == nil { // merging can change it
		var err error
		if decoded, err = r.decode(); err != nil {
			return fmt.Errorf("%s: %w", r.RunID, err)
		}
	}
	if m.r == nil {
		m.r = &Report{Version: Version, Name: r.Name, Target: r.Target, Traces: r.Traces, Console: r.Console, StartedAt: r.StartedAt, Model: r.Model, Stages: r.Stages, Arrivals: r.Arrivals, Connection: r.Connection,
			Seed: r.Seed, Max: r.Max, Limit: r.Limit, WarmUpTime: r.WarmUpTime, Replay: r.Replay, Errors: map[string]int{}, Slowest: []Slow{}}
		m.objectives = r.Objectives()
		for _, v := range r.SLOs {
			m.slos = append(m.slos, v.SLO)
		}
	}
	m.runs = append(m.runs, run{r.RunID, r.Shard, r.StartedAt, r.Workers})
	m.r.add(r, m.Together)
	decoded.addTo(m.results, r)
	for _, v := range r.SLOs {
		b := m.violated[v.SLO]
		b.generator, b.target = b.generator || v.Generator, b.target || !v.Met && !v.Generator
		m.violated[v.SLO] = b
	}
	if r.RateActual > 0 {
		m.span = max(m.span, float64(r.Sent)/r.RateActual)
	}
	for _, i := range r.Intervals {
		m.targets[i.At] += i.RateTarget
	}
	for _, g := range r.Candidates {
		if m.candidates[g.Scenario] == nil {
			m.candidates[g.Scenario] = &explain.Group{Scenario: g.Scenario}
		}
		measure.MergeCandidates(m.candidates[g.Scenario], g)
	}
	return nil
}

// check returns an error if a report does not belong to those before it.
func (m *Merger) check(r *Report) error {
	if m.r == nil {
		return nil
	}
	first, id := m.r, m.runs[0].id
	if r.Target != first.Target || r.WarmUpTime != first.WarmUpTime || r.Replay != first.Replay {
		return fmt.Errorf("%s and %s have different targets, warm-ups or recordings: %s, %g s %s, and %s, %g s %s", id, r.RunID,
			first.Target, first.WarmUpTime, first.Replay, r.Target, r.WarmUpTime, r.Replay)
	}
	if flow, of := r.usersPlan(), first.usersPlan(); flow != of {
		return fmt.Errorf("%s and %s have different flows: %q and %q", id, r.RunID, of, flow)
	}
	if r.Model != first.Model || r.Stages != first.Stages || r.Arrivals != first.Arrivals || r.Seed != first.Seed {
		return fmt.Errorf("%s and %s have different plans: %s %s %s seed %d, and %s %s %s seed %d", id, r.RunID,
			first.Model, first.Stages, first.Arrivals, first.Seed, r.Model, r.Stages, r.Arrivals, r.Seed)
	}
	for _, o := range m.runs { // shards of one population differ by at most one user
		if o.workers-r.Workers > 1 || r.Workers-o.workers > 1 {
			noun := "workers"
			if r.Flow != nil {
				noun = "users"
			}
			return fmt.Errorf("%s and %s have different plans: closed model with %d and with %d %s; shards of one plan differ by at most 1", o.id, r.RunID, o.workers, r.Workers, noun)
		}
	}
	if r.Connection != first.Connection && !m.Together { // workers have their own client certificates
		return fmt.Errorf("%s and %s have different options of connections: %q and %q", id, r.RunID, first.Connection, r.Connection)
	}
	if r.Max != first.Max {
		return fmt.Errorf("%s and %s have a different max number of requests: %d and %d", id, r.RunID, first.Max, r.Max)
	}
	if r.Objectives() != m.objectives || r.Retries.Policy != first.Retries.Policy {
		return fmt.Errorf("%s and %s have different SLOs or retry policies: %q %s, and %q %s", id, r.RunID,
			m.objectives, first.Retries.Policy, r.Objectives(), r.Retries.Policy)
	}
	if slices.ContainsFunc(m.runs, func(o run) bool { return o.id == r.RunID && o.shard == r.Shard }) {
		if r.Shard != "" {
			return fmt.Errorf("duplicate run %s, shard %s", r.RunID, r.Shard)
		}
		return fmt.Errorf("duplicate run %s", r.RunID)
	}
	return nil
}

// usersPlan is the plan of a flow's users, but for a constant population: each process has a part of it.
func (r *Report) usersPlan() string {
	if r.Flow == nil {
		return ""
	}
	return strings.Join(strings.Fields(r.Flow.Name+" "+r.Flow.Users+" "+r.Flow.Think), " ")
}

// Finish returns the merged report. It ends the merger.
func (m *Merger) Finish() (*Report, error) {
	r := m.r
	if r == nil {
		return nil, errors.New("no report")
	}
	if m.span > 0 {
		r.RateActual, r.Goodput = float64(r.Sent)/m.span, float64(m.results.All.Classes[measure.Good])/m.span
	}
	var ids []string
	for _, o := range m.runs {
		if !slices.Contains(ids, o.id) {
			ids = append(ids, o.id)
		}
	}
	r.RunID = strings.Join(ids, " ")
	r.fill(m.results, func(time.Duration) float64 { return 0 })
	r.sortChecks()
	for n, i := range r.Intervals {
		r.Intervals[n].RateTarget = m.targets[i.At]
	}
	for _, name := range slices.Sorted(maps.Keys(m.candidates)) {
		if c := m.results.Scenarios[name]; c != nil {
			if g, ok := measure.Pick(*m.candidates[name], int(c.Served.Count()), c.Served.Quantile(0.5)); ok {
				r.Groups = append(r.Groups, g)
			}
		}
	}
	for _, text := range m.slos {
		v, err := m.judge(text)
		if err != nil {
			return nil, err
		}
		r.SLOs = append(r.SLOs, v)
	}
	return r, m.shards()
}

// judge judges an SLO. Whether only the generator violates it depends on the reports, because
// files have no service times by scenario.
func (m *Merger) judge(text string) (slo.Verdict, error) {
	o, err := slo.Parse(text)
	if err != nil {
		return slo.Verdict{}, err
	}
	cell, intervals := m.results.All, m.results.Intervals.List
	if name := o.Scenario(); m.r.Flow != nil && name == m.r.Flow.Name {
		f := m.r.Flow
		if cell, intervals = m.results.Flow, nil; m.Intervals != nil {
			intervals = m.Intervals(name)
		}
		cell.Classes = map[measure.Class]int{measure.Good: f.Completed - f.Late, measure.Late: f.Late, measure.Failed: f.Failed}
	} else if name != "" {
		cell, intervals = m.results.Scenarios[name], nil
		if m.Intervals != nil {
			intervals = m.Intervals(name)
		}
	}
	v := o.Judge(cell, intervals)
	m.r.Flow.qualify(&v, o.Scenario())
	b := m.violated[text]
	v.Generator = !v.Met && b.generator && !b.target
	return v, nil
}

// add adds the sums and maxima of r.
func (m *Report) add(r *Report, together bool) {
	name := cmp.Or(r.Shard, r.RunID)
	if together {
		name = "worker " + r.worker()
	}
	m.Processes++
	m.MaxWorkers += r.MaxWorkers
	m.Workers += r.Workers
	m.Planned += r.Planned
	m.Sent += r.Sent
	m.Cancelled += r.Cancelled
	m.WarmUp += r.WarmUp
	m.RateTarget += r.RateTarget
	m.Peak += r.Peak
	m.Elapsed = max(m.Elapsed, r.Elapsed)
	if r.StartedAt.Before(m.StartedAt) {
		m.StartedAt = r.StartedAt
	}
	m.RetryAfter.Given += r.RetryAfter.Given
	m.RetryAfter.Kept += r.RetryAfter.Kept
	m.RetryAfter.Broken += r.RetryAfter.Broken
	m.Retries.Policy = r.Retries.Policy
	m.Retries.Requests += r.Retries.Requests
	m.Retries.Attempts += r.Retries.Attempts
	m.Retries.Served += r.Retries.Served
	m.GC.Pauses += r.GC.Pauses
	m.GC.Longest = max(m.GC.Longest, r.GC.Longest)
	for reason, n := range r.Errors {
		m.Errors[reason] += n
	}
	for _, c := range r.FailedChecks {
		m.addCheck(c)
	}
	if r.Flow != nil {
		if m.Flow == nil {
			m.Flow = &Flow{Name: r.Flow.Name, Users: r.Flow.Users, Think: r.Flow.Think, Slowest: []Slow{}}
			for _, row := range r.Scenarios {
				m.Flow.steps = append(m.Flow.steps, row.Name)
			}
		}
		m.Flow.add(r.Flow)
	}
	m.FirstError = cmp.Or(m.FirstError, r.FirstError)
	m.Ended = cmp.Or(m.Ended, r.Ended)
	if r.Limit != LimitRequests {
		m.Limit = r.Limit
	}
	for _, reason := range r.Invalid {
		m.Invalid = append(m.Invalid, name+": "+reason)
	}
	if reason := r.Unsent(); reason != "" && len(r.Invalid) == 0 && !together { // it ended early
		m.Invalid = append(m.Invalid, name+": "+reason)
	}
	m.Slowest = append(m.Slowest, r.Slowest...)
	slices.SortStableFunc(m.Slowest, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	m.Slowest = m.Slowest[:min(len(m.Slowest), maxSlow)]
}

// worker returns the index of a shard, from 0.
func (r *Report) worker() string {
	i, _, _ := strings.Cut(r.Shard, "/")
	n, _ := strconv.Atoi(i)
	return strconv.Itoa(max(n-1, 0))
}

// maxApart is the max difference of start times.
const maxApart = time.Second

// shards checks that the shards are complete and started together.
func (m *Merger) shards() error {
	of := map[string]bool{}
	var parts []string
	for _, r := range m.runs {
		_, n, _ := strings.Cut(r.shard, "/")
		of[n] = true
		parts = append(parts, r.shard)
		if d := r.startedAt.Sub(m.r.StartedAt); d > maxApart {
			m.r.Invalid = append(m.r.Invalid, fmt.Sprintf("%s started %s after the first: use the same -start-at", cmp.Or(r.shard, r.id), d.Round(time.Millisecond)))
		}
	}
	if len(of) > 1 {
		return fmt.Errorf("not shards of one plan: %s", strings.Join(parts, ", "))
	}
	n, _ := strconv.Atoi(slices.Collect(maps.Keys(of))[0])
	if n == 0 {
		return nil // one plan each
	}
	slices.Sort(parts)
	if len(slices.Compact(slices.Clone(parts))) < len(parts) {
		return fmt.Errorf("duplicate shard: %s", strings.Join(parts, ", "))
	}
	if len(parts) < n && !m.Together {
		m.r.Invalid = append(m.r.Invalid, fmt.Sprintf("%d of %d shards missing", n-len(parts), n))
	}
	return nil
}

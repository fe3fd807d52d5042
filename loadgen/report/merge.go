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

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/slo"
)

// Merge combines the reports of several processes with the same target at the same time:
// the shards of a plan, or one plan each. It merges the histograms, so that percentiles are
// exact. The result is invalid if one report is. It has no tail-latency attribution.
func Merge(reports []*Report) (*Report, error) {
	if len(reports) == 0 {
		return nil, errors.New("no report")
	}
	first := reports[0]
	m := &Report{Version: Version, Target: first.Target, Traces: first.Traces, StartedAt: first.StartedAt, Model: first.Model, Stages: first.Stages, Arrivals: first.Arrivals,
		Seed: first.Seed, Max: first.Max, Limit: first.Limit, WarmUpTime: first.WarmUpTime, Replay: first.Replay, Errors: map[string]int{}, Slowest: []Slow{}}
	results := measure.NewResults()
	var names []string
	for _, r := range reports {
		if r.Target != first.Target || r.WarmUpTime != first.WarmUpTime || r.Replay != first.Replay {
			return nil, fmt.Errorf("%s and %s have different targets, warm-ups or recordings: %s, %g s %s, and %s, %g s %s", first.RunID, r.RunID,
				first.Target, first.WarmUpTime, first.Replay, r.Target, r.WarmUpTime, r.Replay)
		}
		if r.Model != first.Model || r.Stages != first.Stages || r.Arrivals != first.Arrivals || r.Seed != first.Seed {
			return nil, fmt.Errorf("%s and %s have different plans: %s %s %s seed %d, and %s %s %s seed %d", first.RunID, r.RunID,
				first.Model, first.Stages, first.Arrivals, first.Seed, r.Model, r.Stages, r.Arrivals, r.Seed)
		}
		if r.Max != first.Max {
			return nil, fmt.Errorf("%s and %s have a different max number of requests: %d and %d", first.RunID, r.RunID, first.Max, r.Max)
		}
		if r.Objectives() != first.Objectives() || r.Retries.Policy != first.Retries.Policy {
			return nil, fmt.Errorf("%s and %s have different SLOs or retry policies: %q %s, and %q %s", first.RunID, r.RunID,
				first.Objectives(), first.Retries.Policy, r.Objectives(), r.Retries.Policy)
		}
		if slices.Contains(names, r.RunID) {
			return nil, fmt.Errorf("duplicate run %s", r.RunID)
		}
		names = append(names, r.RunID)
		m.add(r)
		part, err := r.results()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.RunID, err)
		}
		results.Merge(part)
	}
	span := 0.0 // the longest sending time
	for _, r := range reports {
		if r.RateActual > 0 {
			span = max(span, float64(r.Sent)/r.RateActual)
		}
	}
	if span > 0 {
		m.RateActual, m.Goodput = float64(m.Sent)/span, float64(results.All.Classes[measure.Good])/span
	}
	m.RunID = strings.Join(names, " ")
	m.fill(results, func(time.Duration) float64 { return 0 })
	for _, r := range reports { // sum of the target rates of the same interval
		for _, i := range r.Intervals {
			if n := slices.IndexFunc(m.Intervals, func(j Interval) bool { return j.At == i.At }); n >= 0 {
				m.Intervals[n].RateTarget += i.RateTarget
			}
		}
	}
	for i, v := range first.SLOs {
		objective, err := slo.Parse(v.SLO)
		if err != nil {
			return nil, err
		}
		if name := objective.Scenario(); name != "" { // files have no intervals by scenario
			v = objective.Judge(results.Scenarios[name], nil)
		} else {
			v = objective.Judge(results.All, results.Intervals.List)
		}
		v.Generator = !v.Met && blamed(reports, i)
		m.SLOs = append(m.SLOs, v)
	}
	return m, m.shards(reports)
}

// blamed reports whether SLO i is violated only because of a generator. It asks the reports,
// because files have no service times by scenario.
func blamed(reports []*Report, i int) bool {
	generator := false
	for _, r := range reports {
		if v := r.SLOs[i]; !v.Met && !v.Generator {
			return false
		}
		generator = generator || r.SLOs[i].Generator
	}
	return generator
}

// add adds the sums and maxima of r.
func (m *Report) add(r *Report) {
	name := cmp.Or(r.Shard, r.RunID)
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
	m.FirstError = cmp.Or(m.FirstError, r.FirstError)
	m.Ended = cmp.Or(m.Ended, r.Ended)
	if r.Limit != LimitRequests {
		m.Limit = r.Limit
	}
	for _, reason := range r.Invalid {
		m.Invalid = append(m.Invalid, name+": "+reason)
	}
	if reason := r.Unsent(); reason != "" && len(r.Invalid) == 0 { // it ended early
		m.Invalid = append(m.Invalid, name+": "+reason)
	}
	m.Slowest = append(m.Slowest, r.Slowest...)
	slices.SortStableFunc(m.Slowest, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	m.Slowest = m.Slowest[:min(len(m.Slowest), maxSlow)]
}

// maxApart is the max difference of start times.
const maxApart = time.Second

// shards checks that the shards are complete and started together.
func (m *Report) shards(reports []*Report) error {
	of := map[string]bool{}
	var parts []string
	for _, r := range reports {
		_, n, _ := strings.Cut(r.Shard, "/")
		of[n] = true
		parts = append(parts, r.Shard)
		if d := r.StartedAt.Sub(m.StartedAt); d > maxApart {
			m.Invalid = append(m.Invalid, fmt.Sprintf("%s started %s after the first: use the same -start-at", cmp.Or(r.Shard, r.RunID), d.Round(time.Millisecond)))
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
	if len(parts) < n {
		m.Invalid = append(m.Invalid, fmt.Sprintf("%d of %d shards missing", n-len(parts), n))
	}
	return nil
}

// results converts the report of a file back to measurements.
func (r *Report) results() (m *measure.Results, err error) {
	times := func(name string) *measure.Times {
		h, ok := r.Histograms[name]
		if !ok || err != nil {
			return measure.NewTimes()
		}
		t, e := h.Decode()
		if e != nil {
			err = fmt.Errorf("%s: %w", name, e)
			return measure.NewTimes()
		}
		return t
	}
	cell := func(suffix string, classes map[measure.Class]int, statuses map[int]int) *measure.Cell {
		return &measure.Cell{Classes: classes, Statuses: statuses, Served: times("response" + suffix), Shed: times("shed" + suffix), Failed: times("failed" + suffix), Service: measure.NewTimes()}
	}
	m = &measure.Results{Service: times("service"), SendDelay: times("send_delay"), All: cell("", r.Classes, map[int]int{}), Scenarios: map[string]*measure.Cell{}}
	for _, row := range r.Scenarios {
		m.Scenarios[row.Name] = cell("/"+row.Name, row.Classes, row.Statuses)
		for status, n := range row.Statuses {
			m.All.Statuses[status] += n
		}
	}
	if m.All.Served.Count() != r.Response.Count {
		err = cmp.Or(err, errors.New("no histograms in the file"))
	}
	if err != nil {
		return nil, err
	}
	m.Intervals, err = measured(r.Intervals)
	return m, err
}

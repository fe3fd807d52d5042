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

// Merge puts the reports of several processes together that attacked one target at the
// same time: the shards of one plan, or plans of their own. The histograms add up
// exactly, so that the percentiles are those of all requests. Whatever makes one of
// them invalid makes the whole so. Explanations are left out.
func Merge(reports []*Report) (*Report, error) {
	if len(reports) == 0 {
		return nil, errors.New("there is no report")
	}
	first := reports[0]
	m := &Report{Version: Version, Target: first.Target, Traces: first.Traces, StartedAt: first.StartedAt, Model: first.Model, Stages: first.Stages, Arrivals: first.Arrivals,
		Seed: first.Seed, Max: first.Max, Limit: first.Limit, WarmUpTime: first.WarmUpTime, Replay: first.Replay, Errors: map[string]int{}, Slowest: []Slow{}}
	results := measure.NewResults()
	var names []string
	for _, r := range reports {
		if r.Target != first.Target || r.WarmUpTime != first.WarmUpTime || r.Replay != first.Replay {
			return nil, fmt.Errorf("%s and %s are not of the same target, warm-up and recording: %s, %g s %s, and %s, %g s %s", first.RunID, r.RunID,
				first.Target, first.WarmUpTime, first.Replay, r.Target, r.WarmUpTime, r.Replay)
		}
		if r.Model != first.Model || r.Stages != first.Stages || r.Arrivals != first.Arrivals || r.Seed != first.Seed {
			return nil, fmt.Errorf("%s and %s have different plans: %s %s %s seed %d, and %s %s %s seed %d", first.RunID, r.RunID,
				first.Model, first.Stages, first.Arrivals, first.Seed, r.Model, r.Stages, r.Arrivals, r.Seed)
		}
		if r.Max != first.Max {
			return nil, fmt.Errorf("%s and %s have different maxima of requests: %d and %d", first.RunID, r.RunID, first.Max, r.Max)
		}
		if r.Objectives() != first.Objectives() || r.Retries.Policy != first.Retries.Policy {
			return nil, fmt.Errorf("%s and %s have different objectives or retries: %q %s, and %q %s", first.RunID, r.RunID,
				first.Objectives(), first.Retries.Policy, r.Objectives(), r.Retries.Policy)
		}
		if slices.Contains(names, r.RunID) {
			return nil, fmt.Errorf("%s is given twice", r.RunID)
		}
		names = append(names, r.RunID)
		m.add(r)
		part, err := r.results()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.RunID, err)
		}
		results.Merge(part)
	}
	span := 0.0 // the longest time in which one sent
	for _, r := range reports {
		if r.Reached > 0 {
			span = max(span, float64(r.Sent)/r.Reached)
		}
	}
	if span > 0 {
		m.Reached, m.Goodput = float64(m.Sent)/span, float64(results.All.Classes[measure.Good])/span
	}
	m.RunID = strings.Join(names, " ")
	m.fill(results, func(time.Duration) float64 { return 0 })
	for _, r := range reports { // their rates add up, where the times are the same
		for _, i := range r.Intervals {
			if n := slices.IndexFunc(m.Intervals, func(j Interval) bool { return j.At == i.At }); n >= 0 {
				m.Intervals[n].Asked += i.Asked
			}
		}
	}
	for i, v := range first.SLOs {
		objective, err := slo.Parse(v.SLO)
		if err != nil {
			return nil, err
		}
		if name := objective.Scenario(); name != "" { // by scenario the time is not known
			v = objective.Judge(results.Scenarios[name], nil)
		} else {
			v = objective.Judge(results.All, results.Intervals.List)
		}
		v.Generator = !v.Met && blamed(reports, i)
		m.SLOs = append(m.SLOs, v)
	}
	return m, m.shards(reports)
}

// blamed reports whether objective i is violated only where a generator was the reason:
// the service times of served requests by scenario are in no file.
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

// add adds up what are sums.
func (m *Report) add(r *Report) {
	name := cmp.Or(r.Shard, r.RunID)
	m.MaxWorkers += r.MaxWorkers
	m.Workers += r.Workers
	m.Planned += r.Planned
	m.Sent += r.Sent
	m.Cancelled += r.Cancelled
	m.WarmUp += r.WarmUp
	m.Asked += r.Asked
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
	m.Retries.Tries += r.Retries.Tries
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
	if reason := r.Unsent(); reason != "" && len(r.Invalid) == 0 { // it was ended before its time
		m.Invalid = append(m.Invalid, name+": "+reason)
	}
	m.Slowest = append(m.Slowest, r.Slowest...)
	slices.SortStableFunc(m.Slowest, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	m.Slowest = m.Slowest[:min(len(m.Slowest), maxSlow)]
}

// maxApart is how far apart the processes may have begun.
const maxApart = time.Second

// shards says what is wrong with the parts that there are.
func (m *Report) shards(reports []*Report) error {
	of := map[string]bool{}
	var parts []string
	for _, r := range reports {
		_, n, _ := strings.Cut(r.Shard, "/")
		of[n] = true
		parts = append(parts, r.Shard)
		if d := r.StartedAt.Sub(m.StartedAt); d > maxApart {
			m.Invalid = append(m.Invalid, fmt.Sprintf("%s began %s after the first: give all the same -start-at", cmp.Or(r.Shard, r.RunID), d.Round(time.Millisecond)))
		}
	}
	if len(of) > 1 {
		return fmt.Errorf("they are not parts of one plan: shards %s", strings.Join(parts, ", "))
	}
	n, _ := strconv.Atoi(slices.Collect(maps.Keys(of))[0])
	if n == 0 {
		return nil // each with a plan of its own
	}
	slices.Sort(parts)
	if len(slices.Compact(slices.Clone(parts))) < len(parts) {
		return fmt.Errorf("a shard is there twice: %s", strings.Join(parts, ", "))
	}
	if len(parts) < n {
		m.Invalid = append(m.Invalid, fmt.Sprintf("%d of %d shards are missing", n-len(parts), n))
	}
	return nil
}

// results reads what was measured of a report that was in a file.
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
	m = &measure.Results{Service: times("service"), Lag: times("lag"), All: cell("", r.Classes, map[int]int{}), Scenarios: map[string]*measure.Cell{}}
	for _, row := range r.Scenarios {
		m.Scenarios[row.Name] = cell("/"+row.Name, row.Classes, row.Statuses)
		for status, n := range row.Statuses {
			m.All.Statuses[status] += n
		}
	}
	if m.All.Served.Count() != r.Response.Count {
		err = cmp.Or(err, errors.New("its histograms are missing"))
	}
	if err != nil {
		return nil, err
	}
	m.Intervals, err = measured(r.Intervals)
	return m, err
}

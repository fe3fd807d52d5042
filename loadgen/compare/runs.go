package compare

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

// Reports compares two runs read from files. A is the baseline; tolerance is the accepted
// regression, a share of A's value.
func Reports(a, b *report.Report, tolerance float64) (*Result, error) {
	c := comparison{Tolerance: tolerance, Warnings: differences(a, b)}
	for _, s := range []struct {
		name string
		r    *report.Report
		into *Side
	}{{"A", a, &c.A}, {"B", b, &c.B}} {
		blocks, err := blocks(s.r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		*s.into = Side{Name: s.r.RunID + " of " + s.r.Target, Blocks: blocks}
		for _, reason := range s.r.Invalid {
			c.Invalid = append(c.Invalid, s.name+": "+reason)
		}
		if reason := failures(s.r); reason != "" {
			c.Warnings = append(c.Warnings, s.name+": "+reason)
		}
		if s.r.Ended != "" {
			c.Warnings = append(c.Warnings, s.name+" ended early: "+s.r.Ended)
		}
	}
	return c.runs(), nil
}

// failures returns the number of unserved requests and the most frequent error; "": none.
func failures(r *report.Report) string {
	unserved := r.Unserved()
	if unserved == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d requests failed or shed", unserved, r.Sent-r.Cancelled)
	if len(r.Errors) == 0 { // not in this report
		return text
	}
	most := slices.MaxFunc(slices.Collect(maps.Keys(r.Errors)), func(x, y string) int {
		return cmp.Or(cmp.Compare(r.Errors[x], r.Errors[y]), cmp.Compare(y, x))
	})
	return fmt.Sprintf("%s, %d by %s", text, r.Errors[most], most)
}

// differences returns other differences of two runs than the target.
func differences(a, b *report.Report) (list []string) {
	for _, d := range []struct{ what, a, b string }{
		{"model", a.Model, b.Model},
		{"stages", a.Stages, b.Stages},
		{"arrivals", string(a.Arrivals), string(b.Arrivals)},
		{"workers", fmt.Sprint(a.Workers), fmt.Sprint(b.Workers)},
		{"shard", cmp.Or(a.Shard, "all"), cmp.Or(b.Shard, "all")},
		{"retries", cmp.Or(a.Retries.Policy, "none"), cmp.Or(b.Retries.Policy, "none")},
		{"SLOs", a.Objectives(), b.Objectives()}, // they decide which responses are late
		{"warm-up", seconds(a.WarmUpTime), seconds(b.WarmUpTime)},
		{"max-workers", fmt.Sprint(a.MaxWorkers), fmt.Sprint(b.MaxWorkers)},
		{"seed", fmt.Sprint(a.Seed), fmt.Sprint(b.Seed)},
		{"recording", a.Replay, b.Replay},
		{"flow", flowOf(a).Name, flowOf(b).Name},
		{"users", flowOf(a).Users, flowOf(b).Users},
	} {
		if d.a != d.b {
			list = append(list, fmt.Sprintf("different %s: A %s, B %s", d.what, cmp.Or(d.a, "none"), cmp.Or(d.b, "none")))
		}
	}
	if !sameMix(a.Scenarios, b.Scenarios) {
		list = append(list, fmt.Sprintf("different mix: A %s, B %s", mix(a.Scenarios), mix(b.Scenarios)))
	}
	if a.RunID != "" && a.RunID == b.RunID {
		list = append(list, "A and B are the same run")
	}
	return list
}

func flowOf(r *report.Report) report.Flow {
	if r.Flow == nil {
		return report.Flow{}
	}
	return *r.Flow
}

// sameMix reports whether each scenario has the same share of both runs' requests. A run that
// ends within a round of its mix differs by a few requests.
func sameMix(a, b []report.Row) bool {
	na, nb := total(a), total(b)
	within := max(0.01, 10/max(min(na, nb), 1))
	return slices.EqualFunc(a, b, func(x, y report.Row) bool {
		return x.Name == y.Name && math.Abs(float64(x.Requests)/max(na, 1)-float64(y.Requests)/max(nb, 1)) <= within
	})
}

func total(rows []report.Row) (n float64) {
	for _, row := range rows {
		n += float64(row.Requests)
	}
	return n
}

// mix formats the scenarios' shares of the requests.
func mix(rows []report.Row) string {
	var parts []string
	for _, row := range rows {
		parts = append(parts, fmt.Sprintf("%s=%.1f%%", row.Name, 100*float64(row.Requests)/max(total(rows), 1)))
	}
	return strings.Join(parts, ",")
}

// blocks converts the intervals of a report from a file.
func blocks(r *report.Report) ([]Block, error) {
	if len(r.Intervals) == 0 && r.Sent > 0 {
		return nil, fmt.Errorf("run %s has no intervals: written by an old loadgen", r.RunID)
	}
	if len(r.Intervals) > measure.MaxIntervals {
		return nil, fmt.Errorf("run %s has %d intervals, more than %d", r.RunID, len(r.Intervals), measure.MaxIntervals)
	}
	end := end(r)
	var list []Block
	for n, i := range r.Intervals {
		if !(i.Seconds > 0) {
			return nil, fmt.Errorf("interval %d of run %s lasts %g s", n+1, r.RunID, i.Seconds)
		}
		b := Block{Good: i.Classes[measure.Good], Seconds: i.Seconds}
		if left := end - i.At; n == len(r.Intervals)-1 && left > 0 {
			b.Seconds = min(b.Seconds, left)
		}
		served, err := i.Decode()
		if err != nil {
			return nil, fmt.Errorf("interval %d of run %s: %w", n+1, r.RunID, err)
		}
		for value, count := range served.ForEachBucket {
			b.Served = append(b.Served, Times{Value: value, Count: count})
		}
		if len(b.Served) == 0 && i.Classes[measure.Good]+i.Classes[measure.Late] > 0 {
			return nil, fmt.Errorf("interval %d of run %s has no histogram", n+1, r.RunID)
		}
		list = append(list, b)
	}
	if n := len(r.Intervals); n > 0 && r.Stages != "" {
		// Parts at the end of the plan without scheduled requests have no interval.
		width := r.Intervals[n-1].Seconds
		for at := r.Intervals[n-1].At + width; end-at > 1e-6 && len(list) < measure.MaxIntervals; at += width {
			list = append(list, Block{Seconds: min(width, end-at)})
		}
	}
	return list, nil
}

// end returns the end of the measured part of the plan, in seconds since its start.
func end(r *report.Report) float64 {
	counted := math.Inf(1) // the time of the rates: includes the wait for the last responses
	if r.RateActual > 0 {
		counted = float64(r.Sent) / r.RateActual
	}
	stages, err := schedule.ParseStages(r.Stages)
	if err != nil {
		return counted // the closed model, or a replay
	}
	plan := schedule.Plan{Stages: stages}
	if r.Shard == "" {
		plan.Max = r.Planned
	}
	span := plan.Span().Seconds()
	return min(counted, span-r.WarmUpTime)
}

// seconds formats a time with at most two decimals.
func seconds(s float64) string { return fmt.Sprintf("%g s", math.Round(100*s)/100) }

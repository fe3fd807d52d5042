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

// Reports compares two runs, as they are in files. A is the baseline; tolerance is what share
// of A's value B may be worse by.
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
			c.Warnings = append(c.Warnings, s.name+" was ended before its time: "+s.r.Ended)
		}
	}
	return c.runs(), nil
}

// failures says how many requests were not served, and what for most; "": all were.
func failures(r *report.Report) string {
	unserved := r.Unserved()
	if unserved == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d requests failed or were refused", unserved, r.Sent-r.Cancelled)
	if len(r.Errors) == 0 { // a report by another hand
		return text
	}
	most := slices.MaxFunc(slices.Collect(maps.Keys(r.Errors)), func(x, y string) int {
		return cmp.Or(cmp.Compare(r.Errors[x], r.Errors[y]), cmp.Compare(y, x))
	})
	return fmt.Sprintf("%s, %d of them: %s", text, r.Errors[most], most)
}

// differences are what else than the target two runs differ in.
func differences(a, b *report.Report) (list []string) {
	for _, d := range []struct{ what, a, b string }{
		{"model", a.Model, b.Model},
		{"stages", a.Stages, b.Stages},
		{"arrivals", string(a.Arrivals), string(b.Arrivals)},
		{"number of workers", fmt.Sprint(a.Workers), fmt.Sprint(b.Workers)},
		{"shard", cmp.Or(a.Shard, "all"), cmp.Or(b.Shard, "all")},
		{"retries", cmp.Or(a.Retries.Policy, "none"), cmp.Or(b.Retries.Policy, "none")},
		{"objectives", a.Objectives(), b.Objectives()}, // by which what is late is not good
		{"warm-up", seconds(a.WarmUpTime), seconds(b.WarmUpTime)},
		{"max-workers", fmt.Sprint(a.MaxWorkers), fmt.Sprint(b.MaxWorkers)},
		{"seed", fmt.Sprint(a.Seed), fmt.Sprint(b.Seed)},
		{"recording", a.Replay, b.Replay},
	} {
		if d.a != d.b {
			list = append(list, fmt.Sprintf("not the same %s: A has %s, B has %s", d.what, cmp.Or(d.a, "none"), cmp.Or(d.b, "none")))
		}
	}
	if !sameMix(a.Scenarios, b.Scenarios) {
		list = append(list, fmt.Sprintf("not the same mix: A has %s, B has %s", mix(a.Scenarios), mix(b.Scenarios)))
	}
	if a.RunID != "" && a.RunID == b.RunID {
		list = append(list, "A and B are the same run")
	}
	return list
}

// sameMix reports whether each scenario has the same share of both runs' requests. A
// run can end within a round of its mix, which makes a difference of some requests.
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

// mix writes the scenarios' shares of the requests.
func mix(rows []report.Row) string {
	var parts []string
	for _, row := range rows {
		parts = append(parts, fmt.Sprintf("%s=%.1f%%", row.Name, 100*float64(row.Requests)/max(total(rows), 1)))
	}
	return strings.Join(parts, ",")
}

// blocks returns the report's intervals, as it is in files.
func blocks(r *report.Report) ([]Block, error) {
	if len(r.Intervals) == 0 && r.Sent > 0 {
		return nil, fmt.Errorf("the run %s has no intervals: it was made by an older loadgen", r.RunID)
	}
	if len(r.Intervals) > measure.MaxIntervals {
		return nil, fmt.Errorf("the run %s has %d intervals, more than %d", r.RunID, len(r.Intervals), measure.MaxIntervals)
	}
	end := end(r)
	var list []Block
	for n, i := range r.Intervals {
		if !(i.Seconds > 0) {
			return nil, fmt.Errorf("interval %d of the run %s lasts %g s", n+1, r.RunID, i.Seconds)
		}
		b := Block{Good: i.Classes[measure.Good], Seconds: i.Seconds}
		if left := end - i.At; n == len(r.Intervals)-1 && left > 0 {
			b.Seconds = min(b.Seconds, left)
		}
		served, err := i.Decode()
		if err != nil {
			return nil, fmt.Errorf("interval %d of the run %s: %w", n+1, r.RunID, err)
		}
		for value, count := range served.ForEachBucket {
			b.Served = append(b.Served, Times{Value: value, Count: count})
		}
		if len(b.Served) == 0 && i.Classes[measure.Good]+i.Classes[measure.Late] > 0 {
			return nil, fmt.Errorf("interval %d of the run %s has no times: they are only in files", n+1, r.RunID)
		}
		list = append(list, b)
	}
	if n := len(r.Intervals); n > 0 && r.Stages != "" {
		// The last parts of the plan have no interval if no request was due in them.
		width := r.Intervals[n-1].Seconds
		for at := r.Intervals[n-1].At + width; end-at > 1e-6 && len(list) < measure.MaxIntervals; at += width {
			list = append(list, Block{Seconds: min(width, end-at)})
		}
	}
	return list, nil
}

// end is when the plan's counted part ended, in seconds from its beginning. It is before
// the last interval's end, unless that is where the plan ended.
func end(r *report.Report) float64 {
	counted := math.Inf(1) // what the rates are of: it includes the wait for the last answers
	if r.Reached > 0 {
		counted = float64(r.Sent) / r.Reached
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

// seconds writes a time with two decimals at most.
func seconds(s float64) string { return fmt.Sprintf("%g s", math.Round(100*s)/100) }

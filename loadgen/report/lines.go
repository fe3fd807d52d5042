package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/slo"
)

// What the reports for people have in common, whatever their format.

// line is one at the top of a report.
type line struct{ Name, Text string }

func (r *Report) head() []line {
	var list []line
	add := func(name, format string, args ...any) { list = append(list, line{name, fmt.Sprintf(format, args...)}) }
	if r.Ended != "" {
		add("ended early", "%s", r.Ended)
	}
	add("target", "%s", r.Target)
	add("plan", "%s", r.plan())
	switch r.Limit {
	case LimitRequests:
		add("limit", "max %d requests (-n)", r.Max)
	case LimitPlan:
		add("limit", "end of the plan, before max %d requests (-n)", r.Max)
	}
	run := r.RunID
	if r.Shard != "" {
		run += ", shard " + r.Shard
	}
	add("run", "%s", run)
	if r.WarmUp > 0 {
		add("warm-up", "%d requests in the first %s s, not counted below", r.WarmUp, short(r.WarmUpTime))
	}
	text := fmt.Sprintf("%d", r.Sent)
	if r.Model == "open" {
		text += fmt.Sprintf(" of %d planned,", r.Planned)
	}
	text += fmt.Sprintf(" in %.1f s", r.Elapsed)
	if r.Cancelled > 0 {
		text += fmt.Sprintf("; %d cut off", r.Cancelled)
	}
	add("requests", "%s", text)
	add("rate", "%s", r.rate())
	for _, c := range r.shown() {
		text := fmt.Sprintf("%d (%s)", r.Classes[c], percent(r.share(c)))
		if c == measure.Shed {
			text += ", " + r.RetryAfter.String()
		}
		add(string(c), "%s", text)
	}
	if r.Retries.Policy != "" {
		add("retries", "%s", r.Retries)
	}
	return list
}

// plan says what was asked for.
func (r *Report) plan() string {
	switch {
	case r.Model == "closed":
		return fmt.Sprintf("closed model: %d workers, each sends when it was answered", r.Workers)
	case r.Replay != "":
		return "replay of " + r.Replay
	}
	return fmt.Sprintf("%s, %s arrivals", r.Stages, r.Arrivals)
}

func (r *Report) rate() string {
	target := ""
	if r.Model == "open" {
		target = short(r.Asked) + "/s asked, "
	}
	return fmt.Sprintf("%s%.1f/s reached, %.1f/s good", target, r.Reached, r.Goodput)
}

// shown are the classes that are worth a line.
func (r *Report) shown() []measure.Class {
	return slices.DeleteFunc(slices.Clone(measure.Classes), func(c measure.Class) bool { return r.Classes[c] == 0 && c != measure.Good && c != measure.Failed })
}

// share returns a class's part of the requests that were not cut off.
func (r *Report) share(c measure.Class) float64 {
	return float64(r.Classes[c]) / float64(max(r.Sent-r.Cancelled, 1))
}

// String says what came of the promises.
func (a RetryAfter) String() string {
	text := fmt.Sprintf("%d of them with Retry-After", a.Given)
	if a.Kept+a.Broken > 0 {
		text += fmt.Sprintf(": promises kept %d, broken %d", a.Kept, a.Broken)
	}
	return text
}

// String says what came of the requests that were sent again.
func (r Retries) String() string {
	return fmt.Sprintf("policy %s: %d requests were sent again, %d times, and %d of them served", r.Policy, r.Requests, r.Tries, r.Served)
}

// named is a distribution of times with its name.
type named struct {
	Name string
	measure.Summary
}

// summaries are the lines of the table of times.
func (r *Report) summaries() []named {
	var list []named
	for _, row := range r.Scenarios {
		list = append(list, named{row.Name, row.Response})
	}
	list = append(list, named{"all served", r.Response})
	if r.Shed.Count > 0 {
		list = append(list, named{"shed", r.Shed})
	}
	if r.Failed.Count > 0 {
		list = append(list, named{"failed", r.Failed})
	}
	list = append(list, named{"service time", r.Service})
	if r.Model == "open" {
		list = append(list, named{"sent late by", r.Lag})
	}
	return list
}

// columns are the names of a Summary's percentiles.
var columns = []string{"p50", "p90", "p99", "p99.9", "max"}

func (s named) percentiles() []string {
	var list []string
	for _, v := range []float64{s.P50, s.P90, s.P99, s.P999, s.Max} {
		if s.Count == 0 {
			list = append(list, "-")
		} else {
			list = append(list, ms(v))
		}
	}
	return list
}

// codes writes how often a scenario was answered with each status.
func (r Row) codes() []line {
	var list []line
	for _, code := range slices.Sorted(maps.Keys(r.Statuses)) {
		list = append(list, line{status(code), strconv.Itoa(r.Statuses[code])})
	}
	return list
}

// errors returns the categories of errors, the most frequent first.
func (r *Report) errors() []string {
	return slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Errors[b], r.Errors[a]), cmp.Compare(a, b))
	})
}

// trace says where a trace is.
func (r *Report) trace(id string) string {
	switch {
	case id == "":
		return "not sampled"
	case r.link(id) == "":
		return "trace " + id
	}
	return r.link(id)
}

// link returns a trace's address; "" if there is none.
func (r *Report) link(id string) string {
	if id == "" || !strings.HasPrefix(r.Traces, "http://") && !strings.HasPrefix(r.Traces, "https://") {
		return ""
	}
	return r.Traces + id
}

// What is shown of an explanation: causes of at least minShare of the difference.
const (
	maxCauses = 6
	minShare  = 0.02
)

func causes(a explain.Answer) []explain.Cause {
	for i, c := range a.Causes {
		if i == maxCauses || c.Share < minShare {
			return a.Causes[:i]
		}
	}
	return a.Causes
}

// explained says what was compared, and what is missing if anything is.
func explained(a explain.Answer) (text, missing string) {
	if a.SlowFound == 0 || a.Found == 0 {
		return fmt.Sprintf("of the slowest %d and %d typical ones %d and %d traces were found", a.Slow, a.Typical, a.SlowFound, a.Found), a.Missing
	}
	text = fmt.Sprintf("the slowest %d took %s longer than %d typical ones; %d and %d of their traces found", a.Slow, ms(a.Difference), a.Typical, a.SlowFound, a.Found)
	if a.SlowFound < a.Slow || a.Found < a.Typical {
		missing = a.Missing
	}
	return text, missing
}

func verdictText(v slo.Verdict) string {
	if v.Met {
		return "met"
	}
	return "VIOLATED"
}

func status(code int) string {
	if code == 0 {
		return "no answer"
	}
	return strconv.Itoa(code)
}

// ms writes seconds in milliseconds, so that columns can be compared.
func ms(seconds float64) string { return fmt.Sprintf("%.2f ms", 1000*seconds) }

// short writes a number with two decimals at most.
func short(v float64) string { return strconv.FormatFloat(math.Round(100*v)/100, 'f', -1, 64) }

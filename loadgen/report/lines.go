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
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// What text, markdown and HTML reports share.

// line is a name with a text.
type line struct{ Name, Text string }

func (r *Report) head() []line {
	var list []line
	add := func(name, format string, args ...any) { list = append(list, line{name, fmt.Sprintf(format, args...)}) }
	if r.Ended != "" {
		add("ended early", "%s", r.Ended)
	}
	if r.Name != "" {
		add("name", "%s", r.Name)
	}
	add("target", "%s", r.Target)
	if r.Connection != "" {
		add("connections", "%s", r.Connection)
	}
	add("plan", "%s", r.plan())
	switch r.Limit {
	case LimitRequests:
		add("limit", "max %d %s (-n)", r.Max, r.counted())
	case LimitPlan:
		add("limit", "end of the plan, before max %d %s (-n)", r.Max, r.counted())
	case LimitTargets:
		add("limit", "end of the targets (-each-once)")
	}
	run := r.RunID
	if r.Shard != "" {
		run += ", shard " + r.Shard
	}
	add("run", "%s", run)
	if r.Processes > 1 {
		add("processes", "%d, merged", r.Processes)
	}
	if r.WarmUp > 0 {
		users := ""
		if r.Flow != nil {
			users = fmt.Sprintf("%d %s and ", r.Flow.WarmUp, plural(r.Flow.WarmUp))
		}
		add("warm-up", "%s%d requests in the first %s s, not measured", users, r.WarmUp, short(r.WarmUpTime))
	}
	text := fmt.Sprintf("%d", r.Sent)
	if r.Model == "open" && r.Flow == nil {
		text += fmt.Sprintf(" of %d %s,", r.Planned, r.planned())
	}
	text += fmt.Sprintf(" in %.1f s", r.Elapsed)
	if r.Unfed > 0 {
		text += fmt.Sprintf("; -targets had none for %d scheduled times", r.Unfed)
	}
	if r.Cancelled > 0 {
		text += fmt.Sprintf("; %d cancelled", r.Cancelled)
	}
	if r.Flow != nil {
		add("users", "%s", r.Flow.result(r))
	}
	add("requests", "%s", text)
	add("rate", "%s", r.rate())
	if r.BytesReceived+r.BytesSent > 0 {
		add("bytes", "%s received (%s/s), %s sent, of bodies", size(float64(r.BytesReceived)), size(float64(r.BytesReceived)/max(r.Elapsed-r.WarmUpTime, 1e-9)), size(float64(r.BytesSent)))
	}
	if len(r.Protocols) > 0 {
		add("protocol", "%s", r.protocols())
	}
	if r.Opened > 0 {
		add("opened", "%s", r.opened())
	}
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

// counted are what the plan counts.
func (r *Report) counted() string {
	if r.Flow != nil {
		return "users"
	}
	return "requests"
}

// protocols returns the HTTP versions of the responses, with their number if there are several.
func (r *Report) protocols() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(r.Protocols)) {
		if len(r.Protocols) == 1 {
			return name
		}
		list = append(list, fmt.Sprintf("%s: %d", name, r.Protocols[name]))
	}
	return strings.Join(list, ", ")
}

// opened describes the opened connections.
func (r *Report) opened() string {
	text := fmt.Sprintf("%d connections", r.Opened)
	if r.Opened == 1 {
		text = "1 connection"
	}
	for _, t := range []named{{"connect", r.Connect}, {"TLS handshake", r.TLS}, {"DNS", r.DNS}} {
		if t.Count > 0 {
			text += fmt.Sprintf("; %s p50 %s, max %s", t.Name, ms(t.P50), ms(t.Max))
		}
	}
	return text
}

// size formats a number of bytes.
func size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if bytes < 1000 {
			if unit == "B" {
				return fmt.Sprintf("%.0f B", bytes)
			}
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.1f GB", bytes)
}

func (r *Report) plan() string {
	switch {
	case r.Flow != nil:
		return r.Flow.plan(r)
	case r.Model == "closed":
		return fmt.Sprintf("closed model, %d workers", r.Workers)
	case r.Replay != "":
		return "replay of " + r.Replay
	}
	return fmt.Sprintf("%s, %s arrivals", r.Stages, r.Arrivals)
}

func (r *Report) rate() string {
	target := ""
	if r.Model == "open" && r.Flow == nil {
		target = short(r.RateTarget) + "/s target, "
	}
	return fmt.Sprintf("%s%.1f/s actual, %.1f/s goodput", target, r.RateActual, r.Goodput)
}

// shown are the classes that get a line.
func (r *Report) shown() []measure.Class {
	return slices.DeleteFunc(slices.Clone(measure.Classes), func(c measure.Class) bool { return r.Classes[c] == 0 && c != measure.Good && c != measure.Failed })
}

// share returns a class's share of the completed requests.
func (r *Report) share(c measure.Class) float64 {
	return float64(r.Classes[c]) / float64(max(r.Sent-r.Cancelled, 1))
}

// String returns the counts as text.
func (a RetryAfter) String() string {
	text := fmt.Sprintf("%d with Retry-After", a.Given)
	if a.Kept+a.Broken > 0 {
		text += fmt.Sprintf(": %d kept, %d broken", a.Kept, a.Broken)
	}
	return text
}

// String returns the counts as text.
func (r Retries) String() string {
	return fmt.Sprintf("policy %s: %d requests retried, %d retries, %d requests then served", r.Policy, r.Requests, r.Attempts, r.Served)
}

// named is a distribution of times with its name.
type named struct {
	Name string
	measure.Summary
}

// summaries are the rows of the latency table.
func (r *Report) summaries() []named {
	var list []named
	for _, row := range r.Scenarios {
		list = append(list, named{row.Name, row.Response})
	}
	if r.Flow != nil {
		list = append(list, named{"flow " + r.Flow.Name, r.Flow.Duration})
	}
	list = append(list, named{"all served", r.Response})
	if r.Shed.Count > 0 {
		list = append(list, named{"shed", r.Shed})
	}
	if r.Failed.Count > 0 {
		list = append(list, named{"failed", r.Failed})
	}
	if len(r.Statuses) > 1 {
		for _, code := range slices.Sorted(maps.Keys(r.Statuses)) {
			list = append(list, named{"status " + strconv.Itoa(code), r.Statuses[code]})
		}
	}
	list = append(list, named{"service time", r.Service})
	if r.FirstByte.Count > 0 {
		list = append(list, named{"first byte", r.FirstByte}, named{"body", r.Body})
	}
	if r.scheduled() {
		list = append(list, named{"send delay", r.SendDelay})
	}
	return list
}

// scheduled reports whether requests have a scheduled time. In the closed model, those of a flow have it: the end of the
// think time.
func (r *Report) scheduled() bool { return r.Model == "open" || r.Flow != nil }

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

// codes returns the number of responses by status.
func (r Row) codes() []line {
	var list []line
	for _, code := range slices.Sorted(maps.Keys(r.Statuses)) {
		list = append(list, line{status(code), strconv.Itoa(r.Statuses[code])})
	}
	return list
}

// errors returns the error categories, most frequent first.
func (r *Report) errors() []string {
	return slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Errors[b], r.Errors[a]), cmp.Compare(a, b))
	})
}

// trace returns a trace's URL or id.
func (r *Report) trace(id string) string {
	switch {
	case id == "":
		return "not sampled"
	case r.link(id) == "":
		return "trace " + id
	}
	return r.link(id)
}

// link returns a trace's URL; "": unknown.
func (r *Report) link(id string) string {
	if id == "" || !strings.HasPrefix(r.Traces, "http://") && !strings.HasPrefix(r.Traces, "https://") {
		return ""
	}
	return r.Traces + id
}

// Shown causes of an attribution: those of at least minShare of the difference.
const (
	maxCauses = 6
	minShare  = 0.02
)

func causes(a explain.Attribution) []explain.Cause {
	for i, c := range a.Causes {
		if i == maxCauses || c.Share < minShare {
			return a.Causes[:i]
		}
	}
	return a.Causes
}

// attribution returns a summary, and the reason for missing traces.
func attribution(a explain.Attribution) (text, missing string) {
	if a.SlowFound == 0 || a.Found == 0 {
		return fmt.Sprintf("slowest %d vs %d typical requests; traces found: %d and %d", a.Slow, a.Typical, a.SlowFound, a.Found), a.Missing
	}
	text = fmt.Sprintf("slowest %d are %s slower than %d typical requests (means); traces found: %d and %d", a.Slow, ms(a.Difference), a.Typical, a.SlowFound, a.Found)
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
		return "no response"
	}
	return strconv.Itoa(code)
}

// ms formats seconds as milliseconds, with two decimals in every column.
func ms(seconds float64) string { return fmt.Sprintf("%.2f ms", 1000*seconds) }

// short formats a number with at most two decimals.
func short(v float64) string { return strconv.FormatFloat(math.Round(100*v)/100, 'f', -1, 64) }

// planned is what the number of a plan is: that of Poisson arrivals is random.
func (r *Report) planned() string {
	if r.Arrivals == schedule.Poisson && (r.Limit == "" || r.Limit == LimitPlan) {
		return "expected"
	}
	return "planned"
}

package attack

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Write writes the report as text.
func (r *Report) Write(w io.Writer) error {
	var b bytes.Buffer
	for _, why := range r.Invalid {
		fmt.Fprintf(&b, "INVALID       %s\n", why)
	}
	r.writeHead(&b)
	r.writeTimes(&b)
	r.writeStatuses(&b)
	r.writeErrors(&b)
	r.writeSLOs(&b)
	r.writeSlowest(&b)
	r.writeExplained(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) writeHead(b *bytes.Buffer) {
	fmt.Fprintf(b, "target        %s\n", r.Target)
	if r.Model == "closed" {
		fmt.Fprintf(b, "plan          %s\n", r.plan())
		fmt.Fprintf(b, "requests      %d in %.1f s", r.Sent, r.Elapsed)
	} else {
		fmt.Fprintf(b, "plan          %s\n", r.plan())
		fmt.Fprintf(b, "requests      %d of %d planned, in %.1f s", r.Sent, r.Planned, r.Elapsed)
	}
	if r.Cancelled > 0 {
		fmt.Fprintf(b, "; %d cut off", r.Cancelled)
	}
	if r.Ended != "" {
		fmt.Fprintf(b, "\nended         %s", r.Ended)
	}
	fmt.Fprint(b, "\nrate          ")
	if r.Model == "open" {
		fmt.Fprintf(b, "%s/s asked, ", strconv.FormatFloat(math.Round(100*r.Asked)/100, 'f', -1, 64))
	}
	fmt.Fprintf(b, "%.1f/s reached, %.1f/s good\n", r.Reached, r.Goodput)
	answered := r.Sent - r.Cancelled
	for _, c := range classes {
		if n := r.Classes[c]; n > 0 || c == Good || c == Failed {
			fmt.Fprintf(b, "%-12s  %d (%.2f%%)", c, n, 100*float64(n)/float64(max(answered, 1)))
			if c == Shed {
				fmt.Fprintf(b, ", %d of them with Retry-After", r.RetryAfter.Given)
			}
			fmt.Fprintln(b)
		}
	}
}

// plan is what was asked for, in words.
func (r *Report) plan() string {
	switch {
	case r.Model == "closed":
		return fmt.Sprintf("closed model: %d workers, each sends when it was answered", r.Workers)
	case r.Replay != "":
		return "replay of " + r.Replay
	case r.Shard != "":
		return fmt.Sprintf("%s, %s arrivals, shard %s", r.Stages, r.Arrivals, r.Shard)
	}
	return fmt.Sprintf("%s, %s arrivals", r.Stages, r.Arrivals)
}

func (r *Report) writeTimes(b *bytes.Buffer) {
	fmt.Fprintln(b)
	tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "response time\trequests\tp50\tp90\tp99\tp99.9\tmax\t")
	line := func(name string, s Summary) {
		fmt.Fprintf(tab, "%s\t%d\t", name, s.Count)
		for _, v := range []float64{s.P50, s.P90, s.P99, s.P999, s.Max} {
			text := "-"
			if s.Count > 0 {
				text = ms(v)
			}
			fmt.Fprintf(tab, "%s\t", text)
		}
		fmt.Fprintln(tab)
	}
	for _, row := range r.Scenarios {
		line(row.Name, row.Response)
	}
	line("all served", r.Response)
	if r.Shed.Count > 0 {
		line("shed", r.Shed)
	}
	if r.Failed.Count > 0 {
		line("failed", r.Failed)
	}
	line("service time", r.Service)
	if r.Model == "open" {
		line("sent late by", r.Lag)
	}
	tab.Flush()
	fmt.Fprintf(b, "\nin flight: %d at most\n", r.Peak)
}

func (r *Report) writeStatuses(b *bytes.Buffer) {
	fmt.Fprintln(b, "\nstatus codes")
	for _, row := range r.Scenarios {
		fmt.Fprintf(b, "  %-8s", row.Name)
		for _, code := range slices.Sorted(maps.Keys(row.Statuses)) {
			fmt.Fprintf(b, "  %s: %d", status(code), row.Statuses[code])
		}
		fmt.Fprintln(b)
	}
}

func (r *Report) writeErrors(b *bytes.Buffer) {
	if len(r.Errors) == 0 {
		return
	}
	fmt.Fprintln(b, "\nerrors")
	for _, name := range slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Errors[b], r.Errors[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(b, "  %-28s %d\n", name, r.Errors[name])
	}
	if r.FirstError != "" {
		fmt.Fprintf(b, "  the first other: %s\n", r.FirstError)
	}
}

func (r *Report) writeSLOs(b *bytes.Buffer) {
	if len(r.SLOs) == 0 {
		return
	}
	fmt.Fprintln(b, "\nobjectives")
	width := 0
	for _, v := range r.SLOs {
		width = max(width, len(v.SLO))
	}
	for _, v := range r.SLOs {
		verdict := "met"
		if !v.Met {
			verdict = "VIOLATED"
		}
		fmt.Fprintf(b, "  %s%s  %-8s  %s\n", v.SLO, strings.Repeat(" ", width-len(v.SLO)), verdict, v.Text)
	}
}

func (r *Report) writeSlowest(b *bytes.Buffer) {
	if len(r.Slowest) == 0 {
		return
	}
	fmt.Fprintln(b, "\nslowest requests")
	for _, s := range r.Slowest {
		trace := "trace " + s.TraceID
		if s.TraceID == "" {
			trace = "not sampled"
		}
		fmt.Fprintf(b, "  %11s  %-7s %-9s  %s\n", ms(s.Response), s.Scenario, status(s.Status), trace)
	}
}

// What is shown of an explanation: causes of at least minShare of the difference.
const (
	maxCauses = 6
	minShare  = 0.02
)

func (r *Report) writeExplained(b *bytes.Buffer) {
	if len(r.Explained) == 0 {
		return
	}
	fmt.Fprintln(b, "\nwhy are the slowest slow?")
	for _, a := range r.Explained {
		fmt.Fprintf(b, "  %s: the slowest %d took %s longer than %d typical ones; %d and %d of their traces found\n",
			a.Scenario, a.Slow, ms(a.Difference), a.Typical, a.SlowFound, a.Found)
		if a.SlowFound < a.Slow || a.Found < a.Typical {
			fmt.Fprintf(b, "    missing: %s\n", a.Missing)
		}
		tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		for i, c := range a.Causes {
			if i == maxCauses || c.Share < minShare {
				break
			}
			fmt.Fprintf(tab, "    %+.2f ms\t%3.0f%%\t%s\t%s\t%s\t%.2f to %.2f ms\ttrace %s\n",
				1000*c.Difference, 100*c.Share, c.Service, c.Name, c.Kind, 1000*c.Low, 1000*c.High, c.TraceID)
		}
		tab.Flush()
	}
}

func status(code int) string {
	if code == 0 {
		return "no answer"
	}
	return strconv.Itoa(code)
}

// ms writes seconds in milliseconds, so that columns can be compared.
func ms(seconds float64) string { return fmt.Sprintf("%.2f ms", 1000*seconds) }

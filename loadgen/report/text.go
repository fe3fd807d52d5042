package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Write writes the report as text.
func (r *Report) Write(w io.Writer) error {
	var b bytes.Buffer
	for _, reason := range r.Invalid {
		fmt.Fprintf(&b, "INVALID       %s\n", reason)
	}
	for _, f := range r.head() {
		fmt.Fprintf(&b, "%-12s  %s\n", f.Name, f.Text)
	}
	r.writeTimes(&b)
	r.writeHistogram(&b)
	r.writeStatuses(&b)
	r.writeErrors(&b)
	r.writeFailedChecks(&b)
	r.writeSLOs(&b)
	r.writeSlowest(&b)
	r.writeAttribution(&b)
	for i, p := range r.Pages() {
		if i == 0 {
			fmt.Fprintln(&b, "\nconsole")
		}
		fmt.Fprintf(&b, "  %-9s  %s\n", p.Name, p.URL)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) writeTimes(b *bytes.Buffer) {
	fmt.Fprintln(b)
	tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tab, "response time\trequests\t%s\t\n", strings.Join(columns, "\t"))
	for _, row := range r.summaries() {
		fmt.Fprintf(tab, "%s\t%d\t", row.Name, row.Count)
		for _, v := range row.percentiles() {
			fmt.Fprintf(tab, "%s\t", v)
		}
		fmt.Fprintln(tab)
	}
	tab.Flush()
	if note := r.Flow.Note(); note != "" {
		fmt.Fprintf(b, "  %s\n", note)
	}
	fmt.Fprintf(b, "\npeak in-flight %d; GC: %s\n", r.Peak, r.GC)
}

func (r *Report) writeHistogram(b *bytes.Buffer) {
	lines := r.bands()
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(b, "\nlatency histogram (served requests): response time, requests, share, cumulative")
	from, to, count := 0, 0, 0
	for _, l := range lines {
		from, to, count = max(from, len(l.from)), max(to, len(l.to)), max(count, len(strconv.FormatInt(l.count, 10)))
	}
	for _, l := range lines {
		bar := l.bar + strings.Repeat(" ", maxBars-utf8.RuneCountInString(l.bar))
		fmt.Fprintf(b, "  %*s to %*s ms  %s  %*d  %7s  %7s\n", from, l.from, to, l.to, bar, count, l.count, percent(l.share), percent(l.cumulative))
	}
}

func (r *Report) writeStatuses(b *bytes.Buffer) {
	fmt.Fprintln(b, "\nstatus codes")
	width := 8
	for _, row := range r.Scenarios {
		width = max(width, len(row.Name))
	}
	for _, row := range r.Scenarios {
		fmt.Fprintf(b, "  %-*s", width, row.Name)
		if row.Requests == 0 {
			fmt.Fprint(b, "  no requests")
		}
		for _, c := range row.codes() {
			fmt.Fprintf(b, "  %s: %s", c.Name, c.Text)
		}
		fmt.Fprintln(b)
	}
}

func (r *Report) writeErrors(b *bytes.Buffer) {
	if len(r.Errors) == 0 {
		return
	}
	fmt.Fprintln(b, "\nerrors")
	for _, name := range r.errors() {
		fmt.Fprintf(b, "  %-28s %d\n", name, r.Errors[name])
	}
	if r.FirstError != "" {
		fmt.Fprintf(b, "  details: %s\n", r.FirstError)
	}
}

func (r *Report) writeFailedChecks(b *bytes.Buffer) {
	if len(r.FailedChecks) == 0 {
		return
	}
	fmt.Fprintln(b, "\nfailed checks")
	list, more := r.shownChecks()
	for _, c := range list {
		fmt.Fprintf(b, "  %6d  %s  %s\n          first: %s\n          %s\n", c.Requests, c.Scenario, c.Check, c.Detail, r.trace(c.TraceID))
	}
	if more != "" {
		fmt.Fprintf(b, "  %s\n", more)
	}
}

func (r *Report) writeSLOs(b *bytes.Buffer) {
	if len(r.SLOs) == 0 {
		return
	}
	fmt.Fprintln(b, "\nSLO")
	width := 0
	for _, v := range r.SLOs {
		width = max(width, len(v.SLO))
	}
	for _, v := range r.SLOs {
		fmt.Fprintf(b, "  %s%s  %-8s  %s\n", v.SLO, strings.Repeat(" ", width-len(v.SLO)), verdictText(v), v.Text)
	}
}

func (r *Report) writeSlowest(b *bytes.Buffer) {
	if len(r.Slowest) > 0 {
		fmt.Fprintln(b, "\nslowest requests")
		for _, s := range r.Slowest {
			fmt.Fprintf(b, "  %11s  %-7s %-11s  %s\n", ms(s.Response), s.Scenario, status(s.Status), r.trace(s.TraceID))
		}
	}
	if r.Flow != nil && len(r.Flow.Slowest) > 0 {
		fmt.Fprintln(b, "\nslowest users")
		for _, s := range r.Flow.Slowest {
			fmt.Fprintf(b, "  %11s  %s\n", ms(s.Response), r.trace(s.TraceID))
		}
	}
}

func (r *Report) writeAttribution(b *bytes.Buffer) {
	if len(r.TailAttribution) == 0 {
		return
	}
	fmt.Fprintln(b, "\ntail-latency attribution")
	for _, a := range r.TailAttribution {
		text, missing := attribution(a)
		fmt.Fprintf(b, "  %s: %s\n", a.Scenario, text)
		if missing != "" {
			fmt.Fprintf(b, "    missing: %s\n", missing)
		}
		tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		for _, c := range causes(a) {
			fmt.Fprintf(tab, "    %+.2f ms\t%3.0f%%\t%s\t%s\t%s\t%.2f to %.2f ms\t%s\n",
				1000*c.Difference, 100*c.Share, c.Service, c.Name, c.Kind, 1000*c.Low, 1000*c.High, r.trace(c.TraceID))
		}
		tab.Flush()
	}
}

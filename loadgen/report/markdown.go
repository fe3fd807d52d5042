package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// WriteMarkdown writes the report as GitHub markdown, for a pull request.
func (r *Report) WriteMarkdown(w io.Writer) error {
	m := &markdown{}
	m.line("## Load test of %s", Cell(r.Target))
	for _, reason := range r.Invalid {
		m.line("\n**INVALID** %s", Cell(reason))
	}
	m.head("", "", "")
	for _, f := range r.head() {
		m.row(f.Name, f.Text)
	}
	m.row("peak in-flight", strconv.Itoa(r.Peak))
	m.row("GC", r.GC.String())
	if pages := markPages(r.Pages()); pages != "" {
		m.raw("console", pages)
	}
	r.markTimes(m)
	r.markOutcomes(m)
	r.markTraces(m)
	_, err := w.Write(m.Bytes())
	return err
}

func (r *Report) markTimes(m *markdown) {
	m.head("Latency", append([]string{"response time", "requests:"}, right(columns)...)...)
	for _, row := range r.summaries() {
		m.row(append([]string{row.Name, strconv.FormatInt(row.Count, 10)}, row.percentiles()...)...)
	}
	if note := r.Flow.Note(); note != "" {
		m.line("\n%s", Cell(note))
	}
	if lines := r.bands(); len(lines) > 0 {
		m.head("Latency histogram (served requests)", "response time:", "", "requests:", "share:", "cumulative:")
		for _, l := range lines {
			m.row(l.from+" to "+l.to+" ms", l.bar, strconv.FormatInt(l.count, 10), percent(l.share), percent(l.cumulative))
		}
	}
}

func (r *Report) markOutcomes(m *markdown) {
	m.head("Status codes", "scenario", "requests:", "status codes")
	for _, row := range r.Scenarios {
		var codes []string
		for _, c := range row.codes() {
			codes = append(codes, c.Name+": "+c.Text)
		}
		m.row(row.Name, strconv.Itoa(row.Requests), strings.Join(codes, ", "))
	}
	if len(r.Errors) > 0 {
		m.head("Errors", "error", "requests:")
		for _, name := range r.errors() {
			m.row(name, strconv.Itoa(r.Errors[name]))
		}
		if r.FirstError != "" {
			m.line("\nDetails: %s", Cell(r.FirstError))
		}
	}
	if list, more := r.shownChecks(); len(list) > 0 {
		m.head("Failed checks", "scenario", "check", "requests:", "first", "trace")
		for _, c := range list {
			m.raw(Cell(c.Scenario), Cell(c.Check), strconv.Itoa(c.Requests), Cell(c.Detail), r.markTrace(c.TraceID))
		}
		if more != "" {
			m.line("\n%s", more)
		}
	}
	if len(r.SLOs) > 0 {
		m.head("SLO", "SLO", "verdict", "actual:")
		for _, v := range r.SLOs {
			m.row(v.SLO, verdictText(v), v.Text)
		}
	}
}

func (r *Report) markTraces(m *markdown) {
	if len(r.Slowest) > 0 {
		m.head("Slowest requests", "response time:", "scenario", "status", "trace")
		for _, s := range r.Slowest {
			m.raw(Cell(ms(s.Response)), Cell(s.Scenario), status(s.Status), r.markSlow(s))
		}
	}
	if r.Flow != nil && len(r.Flow.Slowest) > 0 {
		m.head("Slowest users", "duration:", "trace")
		for _, s := range r.Flow.Slowest {
			m.raw(Cell(ms(s.Response)), r.markSlow(s))
		}
	}
	for i, a := range r.TailAttribution {
		if i == 0 {
			m.line("\n### Tail-latency attribution")
		}
		text, missing := attribution(a)
		m.line("\n**%s**: %s", Cell(a.Scenario), Cell(text))
		if missing != "" {
			m.line("(missing: %s)", Cell(missing))
		}
		if len(causes(a)) == 0 {
			continue
		}
		m.head("", "difference:", "share:", "service", "span", "kind", "95% interval:", "trace")
		for _, c := range causes(a) {
			m.raw(fmt.Sprintf("%+.2f ms", 1000*c.Difference), fmt.Sprintf("%.0f%%", 100*c.Share), Cell(c.Service), Cell(c.Name), Cell(c.Kind),
				fmt.Sprintf("%.2f to %.2f ms", 1000*c.Low, 1000*c.High), r.markTrace(c.TraceID))
		}
	}
}

func (r *Report) markTrace(id string) string {
	if link := r.link(id); link != "" {
		return markLink(id, link)
	}
	return Cell(strings.TrimPrefix(r.trace(id), "trace "))
}

// markSlow returns the trace of a request, and pages about it.
func (r *Report) markSlow(s Slow) string {
	text := r.markTrace(s.TraceID)
	if pages := markPages(r.Moment(s)); pages != "" {
		text += ", " + pages
	}
	return text
}

func markPages(list []pageLink) string {
	var links []string
	for _, p := range list {
		links = append(links, markLink(p.Name, p.URL))
	}
	return strings.Join(links, ", ")
}

func markLink(text, link string) string {
	return "[" + Cell(text) + "](<" + strings.NewReplacer("<", "%3C", ">", "%3E", "|", "%7C", " ", "%20", "\n", "%0A").Replace(link) + ">)"
}

type markdown struct{ bytes.Buffer }

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

// head begins a table. A trailing colon in a column's name right-aligns it.
func (m *markdown) head(title string, names ...string) {
	if title != "" {
		m.line("\n### %s", title)
	}
	m.line("")
	var rule []string
	for i, n := range names {
		name, number := strings.CutSuffix(n, ":")
		names[i] = name
		if number {
			rule = append(rule, "---:")
		} else {
			rule = append(rule, "---")
		}
	}
	m.row(names...)
	m.raw(rule...)
}

func (m *markdown) row(cells ...string) {
	cells = slices.Clone(cells)
	for i, c := range cells {
		cells[i] = Cell(c)
	}
	m.raw(cells...)
}

func (m *markdown) raw(cells ...string) { m.line("| %s |", strings.Join(cells, " | ")) }

// right marks columns as right-aligned.
func right(names []string) []string {
	var list []string
	for _, n := range names {
		list = append(list, n+":")
	}
	return list
}

// Cell escapes markdown for a cell of a table, which a line break would end.
func Cell(s string) string {
	var b strings.Builder
	for _, c := range strings.Join(strings.Fields(s), " ") {
		if strings.ContainsRune("\\|`*_<>[]~#&", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

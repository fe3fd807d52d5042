package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/tsenart/vegeta/v12/lib/plot"

	"soundcheck/loadgen/measure"
)

// The page is self-contained: styles, scripts and data are inlined. The charts are uPlot's,
// from vegeta's assets.
//
//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"ms": ms, "percent": percent, "status": status, "causes": causes, "verdict": verdictText,
	"signed":   func(seconds float64) string { return fmt.Sprintf("%+.2f ms", 1000*seconds) },
	"interval": func(low, high float64) string { return fmt.Sprintf("%.2f to %.2f ms", 1000*low, 1000*high) },
	"list":     func(values ...any) []any { return values },
	"rounded":  func(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) },
}).ParseFS(pageFiles, "page/page.html"))

// page is what the template shows.
type page struct {
	*Report
	Style  template.CSS
	Script template.JS
	Charts charts
	Tiles  []tile
}

// tile is a headline number.
type tile struct {
	Name, Value, Unit, Note string
	Bad                     bool
}

// WriteHTML writes the report as one self-contained page.
func (r *Report) WriteHTML(w io.Writer) error {
	p := page{Report: r, Tiles: r.tiles()}
	var err error
	if p.Charts, err = r.charts(); err != nil {
		return err
	}
	style, err := library("uPlot.min.css")
	if err != nil {
		return err
	}
	script, err := library("uPlot.min.js")
	if err != nil {
		return err
	}
	for _, name := range []string{"page.css", "scales.js", "charts.js", "page.js"} {
		b, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			return err
		}
		if name == "page.css" {
			style += string(b)
		} else {
			script += "\n" + string(b)
		}
	}
	p.Style, p.Script = template.CSS(style), template.JS(script)
	return pageTemplate.Execute(w, p)
}

// library reads one of vegeta's assets.
func library(name string) (string, error) {
	f, err := plot.Assets.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

func (r *Report) tiles() []tile {
	responseTime := func(name string, seconds float64) tile {
		t := tile{Name: name, Value: "–", Note: "response time, served"}
		if r.Response.Count > 0 {
			t.Value, t.Unit = readable(1000*seconds), "ms"
		}
		return t
	}
	note := ""
	if r.Model == "open" && r.Flow == nil {
		note = short(r.RateTarget) + "/s target"
	}
	unserved := r.Unserved()
	return []tile{
		responseTime("p50", r.Response.P50),
		responseTime("p99", r.Response.P99),
		{Name: "goodput", Value: readable(r.Goodput), Unit: "/s", Note: percent(r.share(measure.Good)) + " good"},
		{Name: "actual rate", Value: readable(r.RateActual), Unit: "/s", Note: note},
		{Name: "failed + shed", Value: strconv.Itoa(unserved), Note: fmt.Sprintf("%d failed, %d shed", r.Classes[measure.Failed], r.Classes[measure.Shed]), Bad: unserved > 0},
	}
}

// readable formats a number with three significant digits, or all of an integer's.
func readable(v float64) string {
	if v == 0 {
		return "0"
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))+1e-9))
	return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 3), 64)
}

// When returns the start of the run.
func (p page) When() string { return p.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC") }

// Head returns the lines of the head that the page does not show elsewhere.
func (p page) Head() []line {
	var list []line
	for _, f := range p.head() {
		if f.Name != "target" && !slices.Contains(measure.Classes, measure.Class(f.Name)) {
			list = append(list, f)
		}
	}
	return append(list, line{"peak in-flight", strconv.Itoa(p.Peak)}, line{"GC", p.GC.String()})
}

// Bars returns the classes with their shares.
func (p page) Bars() []classBar {
	var list []classBar
	for _, c := range p.shown() {
		b := classBar{Class: c, Count: p.Report.Classes[c], Share: p.share(c)}
		if c == measure.Shed {
			b.Note = p.RetryAfter.String()
		}
		list = append(list, b)
	}
	return list
}

type classBar struct {
	Class measure.Class
	Count int
	Share float64
	Note  string
}

// Accessors for the template.
func (p page) Summaries() []named         { return p.summaries() }
func (p page) Columns() []string          { return columns }
func (p page) ErrorNames() []string       { return p.errors() }
func (p page) ShownChecks() []FailedCheck { list, _ := p.shownChecks(); return list }
func (p page) MoreChecks() string         { _, more := p.shownChecks(); return more }
func (p page) Link(id string) string      { return p.link(id) }
func (n named) Percentiles() []string     { return n.percentiles() }
func (r Row) Codes() []line               { return r.codes() }
func (p page) Met() int                   { return len(p.SLOs) - p.Violated() }
func (p page) Attribution(i int) string   { text, _ := attribution(p.TailAttribution[i]); return text }
func (p page) Missing(i int) string       { _, missing := attribution(p.TailAttribution[i]); return missing }

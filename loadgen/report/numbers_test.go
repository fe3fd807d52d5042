package report

import (
	"cmp"
	"encoding/json"
	"html"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// checkNumbers compares each number in a format of a report with report.json, in order: value, to
// the last digit, and unit.
func checkNumbers(t *testing.T, file []byte, suffix string, text []byte) {
	t.Helper()
	var j object
	if err := json.Unmarshal(file, &j); err != nil {
		t.Fatal(err)
	}
	if suffix == ".json" {
		checkJSON(t, j, text)
		return
	}
	var r Report // for its histograms
	if err := json.Unmarshal(file, &r); err != nil {
		t.Fatal(err)
	}
	c := &numberCheck{t: t, j: j, format: suffix, shown: j.shown(suffix, string(text))}
	if suffix == ".html" {
		c.page()
		checkCharts(t, &r, text)
	} else {
		c.head(true)
		if suffix == ".md" {
			c.generator()
		}
		c.times()
		if suffix == ".txt" {
			c.generator()
		}
		c.histogram(r.Times("response"))
		c.statuses()
		c.errors()
		c.objectives()
	}
	c.traces()
	if len(c.shown) > 0 {
		t.Errorf("%s: nothing in report.json is known for %v", suffix, c.shown)
	}
}

// checkJSON compares -format json with report.json, which also has histograms.
func checkJSON(t *testing.T, file object, text []byte) {
	t.Helper()
	var shown object
	if err := json.Unmarshal(text, &shown); err != nil {
		t.Fatal(err)
	}
	delete(file, "histograms")
	for _, i := range file.list("intervals") {
		delete(i, "histogram")
	}
	if !reflect.DeepEqual(shown, file) {
		t.Errorf("-format json is\n%v, report.json\n%v", shown, file)
	}
}

// object is a JSON object.
type object map[string]any

// at returns the value at a path, as in response_time.p50; nil: none.
func (o object) at(path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	if v := o[name]; !deeper || v == nil {
		return v
	}
	return object(o[name].(map[string]any)).at(rest)
}

func (o object) number(path string) float64 { v, _ := o.at(path).(float64); return v }
func (o object) text(path string) string    { v, _ := o.at(path).(string); return v }
func (o object) object(path string) object  { v, _ := o.at(path).(map[string]any); return v }

func (o object) list(path string) (list []object) {
	values, _ := o.at(path).([]any)
	for _, v := range values {
		list = append(list, v.(map[string]any))
	}
	return list
}

// shownNumber is a number in a report.
type shownNumber struct{ text, unit string }

var (
	numberPattern = regexp.MustCompile(`([-+]?\d+(?:\.\d+)?)(\s*ms\b|%|\s*/s\b|\s+s\b)?`)
	tagPattern    = regexp.MustCompile(`(?s)<(?:head|script|noscript)\b.*?</(?:head|script|noscript)>|<[^>]*>`)
	keptPattern   = regexp.MustCompile(`(?:style|title)="([^"]*)"`)
)

// shown returns the numbers in a report, except those in names, URLs and texts of report.json.
func (o object) shown(suffix, text string) (list []shownNumber) {
	switch suffix {
	case ".html":
		text = tagPattern.ReplaceAllStringFunc(text, func(tag string) string {
			var kept []string
			if !strings.HasPrefix(tag, "<script") && !strings.HasPrefix(tag, "<head>") {
				for _, a := range keptPattern.FindAllStringSubmatch(tag, -1) {
					kept = append(kept, a[1])
				}
			}
			return " " + strings.Join(kept, " ") + " "
		})
		text = html.UnescapeString(text)
	case ".md":
		text = strings.ReplaceAll(text, `\`, "")
	}
	text = regexp.MustCompile(`\bHTTP/\d(\.\d)?\b|\bstatus \d{3}\b|http://127\.0\.0\.1:16696/(?:d/|logs\?|traces\?)[^\s>]*`).ReplaceAllString(text, "")
	started, _ := time.Parse(time.RFC3339, o.text("started_at"))
	names := []string{o.text("target"), o.text("run_id"), "shard " + o.text("shard"), o.text("stages"), o.text("ended"), o.text("first_error"),
		o.text("traces"), started.UTC().Format("2006-01-02 15:04:05"), "95% interval"}
	names = slices.AppendSeq(names, maps.Keys(o.object("errors")))
	invalid, _ := o.at("invalid").([]any)
	for _, v := range invalid {
		names = append(names, v.(string))
	}
	for _, s := range o.list("slos") {
		names = append(names, s.text("slo"))
	}
	for _, s := range o.list("slowest") {
		names = append(names, s.text("trace_id"))
	}
	for _, a := range o.list("tail_attribution") {
		for _, c := range a.list("causes") {
			names = append(names, c.text("trace_id"))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, n := range names {
		if n != "" {
			text = strings.ReplaceAll(text, n, "")
		}
	}
	text = regexp.MustCompile(`\bp\d+(\.\d+)?\b`).ReplaceAllString(text, "")
	for _, m := range numberPattern.FindAllStringSubmatch(text, -1) {
		list = append(list, shownNumber{m[1], strings.TrimSpace(m[2])})
	}
	return list
}

// bars are the non-empty buckets of a histogram.
func barsOf(t *measure.Times) []hdrhistogram.Bar {
	return slices.DeleteFunc(t.HDR().Distribution(), func(b hdrhistogram.Bar) bool { return b.Count == 0 })
}

// above returns the number of times of at least d.
func above(bars []hdrhistogram.Bar, d time.Duration) (n int64) {
	for _, b := range bars {
		if b.From >= int64(d) {
			n += b.Count
		}
	}
	return n
}

// numberCheck consumes the numbers of a report in order.
type numberCheck struct {
	t      *testing.T
	j      object
	format string
	shown  []shownNumber
}

// next returns the next number, and checks its unit.
func (c *numberCheck) next(what, unit string) (v, digit float64) {
	c.t.Helper()
	if len(c.shown) == 0 {
		c.t.Fatalf("%s: %s is not there", c.format, what)
	}
	n := c.shown[0]
	c.shown = c.shown[1:]
	if n.unit != unit {
		c.t.Fatalf("%s: %s is %s%s, want %q for its unit; after it %v", c.format, what, n.text, n.unit, unit, c.shown)
	}
	v, err := strconv.ParseFloat(n.text, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	_, decimals, _ := strings.Cut(n.text, ".")
	return v, math.Pow(10, -float64(len(decimals)))
}

// is compares the next number with a value.
func (c *numberCheck) is(what string, value float64, unit string) {
	c.t.Helper()
	got, digit := c.next(what, unit)
	if unit == "%" && got == 99.99 { // what is not all does not look like it
		digit *= 2
	}
	if math.Abs(got-value) > digit/2*(1+1e-6) {
		c.t.Errorf("%s: %s is %v %s, in report.json %v", c.format, what, got, unit, value)
	}
}

func (c *numberCheck) count(path string)    { c.t.Helper(); c.is(path, c.j.number(path), "") }
func (c *numberCheck) rate(path string)     { c.t.Helper(); c.is(path, c.j.number(path), "/s") }
func (c *numberCheck) duration(path string) { c.t.Helper(); c.is(path, c.j.number(path), "s") }
func (c *numberCheck) milli(path string)    { c.t.Helper(); c.is(path, 1000*c.j.number(path), "ms") }

func (c *numberCheck) share(class measure.Class) {
	c.t.Helper()
	c.is("share of "+string(class), 100*c.j.number("classes."+string(class))/max(c.j.number("sent")-c.j.number("cancelled"), 1), "%")
}

func (c *numberCheck) open() bool { return c.j.text("model") == "open" }

// classes returns the classes with a line.
func (c *numberCheck) classes() []measure.Class {
	return slices.DeleteFunc(slices.Clone(measure.Classes), func(k measure.Class) bool {
		return c.j.number("classes."+string(k)) == 0 && k != measure.Good && k != measure.Failed
	})
}

func (c *numberCheck) promises() {
	c.t.Helper()
	c.count("retry_after.given")
	if c.j.number("retry_after.kept")+c.j.number("retry_after.broken") > 0 {
		c.count("retry_after.kept")
		c.count("retry_after.broken")
	}
}

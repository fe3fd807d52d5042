package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/browsertest"
	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/slo"
)

var dataPattern = regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)

// chartData returns the data of a page's charts, one key a line.
func chartData(t *testing.T, page []byte) []byte {
	t.Helper()
	m := dataPattern.FindSubmatch(page)
	if m == nil {
		t.Fatalf("the page has no data\n%s", page)
	}
	var c map[string]json.RawMessage
	if err := json.Unmarshal(m[1], &c); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, name := range []string{"open", "at", "end", "rate_target", "classes", "p50", "p99", "max", "heat", "percentiles"} {
		fmt.Fprintf(&b, "%s: %s\n", name, c[name])
	}
	if len(c) != 10 {
		t.Errorf("the data has %d fields, want 10", len(c))
	}
	return b.Bytes()
}

func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// With any content, a page has its three scripts and loads no other file.
func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	const evil = `http://a/</script><script>throw 1</script><img src=x onerror=alert(1)>"'` + "`\u2028" + `<!--`
	r := &Report{Target: evil, RunID: evil, Stages: evil, Model: "open", Ended: evil, FirstError: evil, Invalid: []string{evil}, Traces: "javascript:alert(1)//",
		Errors: map[string]int{evil: 1}, Scenarios: []Row{{Name: evil}}, SLOs: []slo.Verdict{{SLO: evil, Text: evil}},
		Slowest:         []Slow{{TraceID: "1", Scenario: evil}},
		TailAttribution: []explain.Attribution{{Scenario: evil, Slow: 1, Missing: evil, Causes: []explain.Cause{{Part: explain.Part{Service: evil, Name: evil}, Share: 1, TraceID: evil}}}}}
	page := pageOf(t, r)
	for _, tt := range []struct {
		text string
		want int
	}{{"<script", 3}, {"</script", 3}, {"<img", 0}, {"onerror=", strings.Count(page, "&lt;img src=x onerror=")}, {"javascript:", 0}, {"@import", 0}, {"<link", 1}} {
		if got := strings.Count(page, tt.text); got != tt.want {
			t.Errorf("the page has %d times %q, want %d", got, tt.text, tt.want)
		}
	}
	for _, asks := range []string{`(src|href)="?(https?:)?//`, `url\(`, `fetch\(`, `XMLHttpRequest`} {
		if m := regexp.MustCompile(asks).FindString(page); m != "" {
			t.Errorf("the page has %q", m)
		}
	}
	r.Traces = "http://127.0.0.1:16696/trace/"
	if page := pageOf(t, r); !strings.Contains(page, `<a href="http://127.0.0.1:16696/trace/1">1</a>`) {
		t.Errorf("the page does not link to the trace")
	}
}

func TestPageOfBrokenHistogram(t *testing.T) {
	t.Parallel()
	r := &Report{Intervals: []Interval{{At: 3, HDR: "broken"}}}
	if err := r.WriteHTML(io.Discard); err == nil || !strings.HasPrefix(err.Error(), "decode the histogram of the interval at 3 s: ") {
		t.Errorf("a broken histogram: %v", err)
	}
}

// Each served request is in the heat map, in the band of its time.
func TestHeat(t *testing.T) {
	t.Parallel()
	s := &measure.Intervals{Width: time.Second}
	for n := range 1000 {
		s.Add(time.Duration(n)*5*time.Millisecond, measure.Good, time.Duration(1+n)*time.Duration(1+n)*20*time.Microsecond)
	}
	s.Add(7*time.Second, measure.Failed, time.Second)
	h, err := heatOf(intervalsOf(s, steady(200, 8*time.Second).Rate))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Bounds) > maxRows+1 || len(h.Cells) != 8 || h.Bounds[0] > 0.02 || h.Bounds[len(h.Bounds)-1] < 20000 {
		t.Errorf("%d intervals and bands %v", len(h.Cells), h.Bounds)
	}
	total := int64(0)
	for _, cells := range h.Cells {
		for k := 0; k < len(cells); k += 2 {
			if total += cells[k+1]; cells[k] < 0 || int(cells[k]) >= len(h.Bounds)-1 || k > 0 && cells[k] <= cells[k-2] {
				t.Errorf("cells %v", cells)
			}
		}
	}
	if total != 1000 {
		t.Errorf("%d requests, want 1000", total)
	}
}

// probe checks for colored pixels of a chart, moves the cursor to its middle and reads the legend.
const probe = `<script>setTimeout(() => {
  const charts = [...document.querySelectorAll(".chart")].filter(chart => chart.querySelector("canvas"));
  for (const chart of charts) {
    const c = chart.querySelector("canvas"), p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    let n = 0;
    for (let i = 0; i < p.length; i += 4) if (p[i + 3] > 200 && Math.max(p[i], p[i + 1], p[i + 2]) - Math.min(p[i], p[i + 1], p[i + 2]) > 80) n++;
    chart.dataset.painted = n > 10;
    const over = chart.querySelector(".u-over"), r = over.getBoundingClientRect();
    for (let k = 0; k < 20; k++) {
      const at = { clientX: r.left + r.width / 2, clientY: r.top + r.height * (k + 0.5) / 20, bubbles: true };
      for (const e of ["mouseenter", "mousemove"]) over.dispatchEvent(new MouseEvent(e, at));
    }
  }
  for (const chart of charts) chart.dataset.hover = (chart.querySelector(".u-legend") || chart.querySelector(".scale")).innerText.replace(/\s+/g, " ");
}, 500)</script>`

var drawnChart = regexp.MustCompile(`data-painted="true" data-hover="[^"]*\d[^"]*"`)

// A browser draws each chart with data, without an error. Not parallel: a browser disturbs timing
// tests.
func TestPageInBrowser(t *testing.T) {
	chromium := browsertest.Chromium(t)
	one := &measure.Intervals{Width: time.Second}
	one.Add(0, measure.Good, time.Millisecond)
	long := &measure.Intervals{Width: time.Second}
	for n := range 5000 {
		long.Add(time.Duration(n)*time.Second, measure.Classes[n%4], time.Duration(1+n)*time.Millisecond)
	}
	failed := &measure.Intervals{Width: time.Second}
	failed.Add(0, measure.Failed, time.Millisecond)
	for _, tt := range []struct {
		name  string
		list  *measure.Intervals
		drawn map[string]string
	}{
		{"long", long, map[string]string{"rates": "yes", "times": "yes", "heat": "yes", "percentiles": "yes"}},
		{"one", one, map[string]string{"rates": "yes", "times": "yes", "heat": "yes", "percentiles": "yes"}},
		{"failed", failed, map[string]string{"rates": "yes", "times": "empty", "heat": "empty", "percentiles": "yes"}},
		{"nothing", &measure.Intervals{Width: time.Second}, map[string]string{"rates": "empty", "times": "empty", "heat": "empty", "percentiles": "empty"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Model: "open", Elapsed: 5000}
			m := measure.NewResults()
			m.Intervals = tt.list
			for _, i := range tt.list.List {
				for k, n := range i.Classes {
					for range n {
						m.Service.Add(time.Millisecond)
						m.SendDelay.Add(10 * time.Microsecond)
						m.All.Add(measure.Classes[k], 0, time.Duration(1+m.Service.Count())*time.Millisecond)
					}
				}
			}
			r.fill(m, steady(1, 5000*time.Second).Rate)
			file := filepath.Join(t.TempDir(), "report.html")
			if err := os.WriteFile(file, []byte(pageOf(t, r)+probe), 0o644); err != nil {
				t.Fatal(err)
			}
			dom := dump(t, chromium, "file://"+file)
			if m := regexp.MustCompile(`data-error="[^"]*"`).FindString(dom); m != "" {
				t.Errorf("the page has an error: %s", m)
			}
			for id, want := range tt.drawn {
				chart := regexp.MustCompile(`<div class="chart[^>]* id="` + id + `"[^>]*>`).FindString(dom)
				if !strings.Contains(chart, `data-drawn="`+want+`"`) || want == "yes" && !drawnChart.MatchString(chart) {
					t.Errorf("chart %s: %s, want it drawn: %s", id, chart, want)
				}
			}
		})
	}
}

// dump returns the DOM of a page after its scripts.
func dump(t *testing.T, chromium, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir="+t.TempDir(),
		"--window-size=1280,2400", "--virtual-time-budget=5000", "--dump-dom", url)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%v: %v", cmd, err)
	}
	return string(out)
}

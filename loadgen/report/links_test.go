package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"soundcheck/dashboards"
)

// Links to the console have the time of the run or request.
func TestConsoleLinks(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1_700_000_000_000).UTC()
	slow := Slow{Response: 2, TraceID: "ab", ScheduledAt: start.Add(10 * time.Second)}
	r := Report{RunID: "r&1", Console: "http://c:1", Traces: "http://c:1/trace/", StartedAt: start, Elapsed: 60, Slowest: []Slow{slow}}
	want := []pageLink{
		{"dashboard", "http://c:1/d/load-test?from=1699999970000&to=1700000090000&var-run=r%261"},
		{"traces", "http://c:1/traces?end=1700000060000000&limit=1500&service=loadgen&sort=longest&start=1700000000000000&tags=soundcheck.loadgen.run%3Dr%261"},
		{"logs", "http://c:1/logs?level=warn&since=1700000000000&until=1700000060000"},
	}
	if got := r.Pages(); !slices.Equal(got, want) {
		t.Errorf("Pages() = %q, want %q", got, want)
	}
	moment := []pageLink{{"logs", "http://c:1/logs?trace=ab"}, {"dashboard", "http://c:1/d/load-test?from=1699999980000&to=1700000042000&var-run=r%261"}}
	if got := r.Moment(slow); !slices.Equal(got, moment) {
		t.Errorf("Moment = %q, want %q", got, moment)
	}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, l := range append(want, moment...) {
		if href := `href="` + strings.ReplaceAll(l.URL, "&", "&amp;") + `">` + l.Name; !strings.Contains(page.String(), href) {
			t.Errorf("the page has no %s", href)
		}
	}
	// A request that was not sampled, and a report of an older loadgen.
	if got := r.Moment(Slow{ScheduledAt: slow.ScheduledAt}); len(got) != 1 || got[0].Name != "dashboard" {
		t.Errorf("without a trace: %q", got)
	}
	if got := r.Moment(Slow{TraceID: "ab"}); len(got) != 1 || got[0].Name != "logs" {
		t.Errorf("without a time: %q", got)
	}
	for _, console := range []string{"", "javascript:alert(1)//"} {
		r.Console = console
		if got := append(r.Pages(), r.Moment(slow)...); len(got) > 0 {
			t.Errorf("console %q: %q", console, got)
		}
	}
	if all, err := dashboards.All(); err != nil || !slices.ContainsFunc(all, func(d dashboards.Dashboard) bool { return d.UID == "load-test" }) {
		t.Errorf("no dashboard load-test: %v", err)
	}
}

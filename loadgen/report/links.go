package report

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/measure"
)

// around is the time shown before and after a run or request: enough for the context, and for a
// metric export.
const around = 30 * time.Second

// pageLink is a page of the console.
type pageLink struct{ Name, URL string }

// page returns the address of a page of the console; "": the console is unknown.
func (r *Report) page(path string, query url.Values) string {
	if !strings.HasPrefix(r.Console, "http://") && !strings.HasPrefix(r.Console, "https://") {
		return ""
	}
	return r.Console + path + "?" + query.Encode()
}

// dashboard returns the address of the load test's dashboard for a time range.
func (r *Report) dashboard(from, to time.Time) string {
	return r.page("/d/load-test", url.Values{"from": {millis(from)}, "to": {millis(to)}, "var-run": {r.RunID}})
}

// Pages returns the pages of the console for the time of the run: dashboard, its traces, warnings in the
// logs. None if the console is unknown.
func (r *Report) Pages() []pageLink {
	if r.page("", nil) == "" {
		return nil
	}
	from, to := r.StartedAt, r.StartedAt.Add(measure.Seconds(r.Elapsed))
	traces := url.Values{"service": {"loadgen"}, "tags": {"soundcheck.loadgen.run=" + r.RunID}, "start": {strconv.FormatInt(from.UnixMicro(), 10)}, "end": {strconv.FormatInt(to.UnixMicro(), 10)}, "sort": {"longest"}, "limit": {"1500"}} // the most that the page reads
	return []pageLink{
		{"dashboard", r.dashboard(from.Add(-around), to.Add(around))},
		{"traces", r.page("/traces", traces)},
		{"logs", r.page("/logs", url.Values{"since": {millis(from)}, "until": {millis(to)}, "level": {"warn"}})},
	}
}

// Moment returns the pages of the console for a request: dashboard at its time, log lines of its trace.
func (r *Report) Moment(s Slow) []pageLink {
	list := r.Lines(s.TraceID)
	if !s.ScheduledAt.IsZero() && r.page("", nil) != "" {
		list = append(list, pageLink{"dashboard", r.dashboard(s.ScheduledAt.Add(-around), s.ScheduledAt.Add(measure.Seconds(s.Response)+around))})
	}
	return list
}

// Lines returns the page of a trace's log lines; none if it is unknown.
func (r *Report) Lines(trace string) []pageLink {
	if u := r.page("/logs", url.Values{"trace": {trace}}); u != "" && trace != "" {
		return []pageLink{{"logs", u}}
	}
	return nil
}

func millis(t time.Time) string { return fmt.Sprint(t.UnixMilli()) }

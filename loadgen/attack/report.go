package attack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Report is what came of an attack. Response times count from when a request was
// due to the end of its answer; lag is how much later than due it was sent.
type Report struct {
	URL         string
	Rate        int // requests a second that were asked for
	MaxWorkers  int
	Planned     uint64
	Requests    int // answered or failed
	Failed      int // no answer, or not the status that the scenario expects
	Interrupted int // cut off by the end of the attack
	Elapsed     time.Duration
	Peak        int            // requests in flight at most
	Scenarios   []*Row         // in order of name
	Errors      map[string]int // by category
	Slowest     []Slow         // slowest first

	other    string // the first error of the category "other"
	response *times // of all
	failed   *times // of those that failed: they can be the fastest or the slowest
	lag      *times
	rows     map[string]*Row
}

// Row is one scenario's part of a report.
type Row struct {
	Name     string
	Statuses map[int]int // 0: no answer
	Requests int
	Failed   int
	response *times
}

// Slow is a slow request.
type Slow struct {
	Response time.Duration
	Scenario string
	Status   int    // 0: no answer
	TraceID  string // "" if its trace is not sampled
}

const maxSlow = 5

func newReport(c Config) *Report {
	r := &Report{URL: c.URL, Rate: c.Rate, MaxWorkers: c.MaxWorkers, Planned: c.Planned(),
		Errors: map[string]int{}, response: newTimes(), failed: newTimes(), lag: newTimes(), rows: map[string]*Row{}}
	for _, name := range slices.Sorted(maps.Keys(c.Mix)) {
		if c.Mix[name] > 0 {
			row := &Row{Name: name, Statuses: map[int]int{}, response: newTimes()}
			r.rows[name] = row
			r.Scenarios = append(r.Scenarios, row)
		}
	}
	return r
}

// add takes one result in. vegeta's own latency counts from when a worker took
// the request up, which leaves out how long it had to wait for one.
func (r *Report) add(ctx context.Context, p *pacer, res *vegeta.Result, n *note) {
	if interrupted(ctx, res) {
		r.Interrupted++
		return
	}
	r.Requests++
	if n == nil {
		r.Failed++
		r.Errors["not sent"]++
		return
	}
	due := p.began.Add(p.due(res.Seq))
	response := res.End().Sub(due)
	row := r.rows[n.scenario.name]
	row.Requests++
	row.Statuses[int(res.Code)]++
	if int(res.Code) != n.scenario.want {
		row.Failed++
		r.failed.add(response)
		r.fail(res, row.Name)
	}
	r.response.add(response)
	row.response.add(response)
	r.lag.add(res.Timestamp.Sub(due))
	r.slow(Slow{response, row.Name, int(res.Code), n.traceID})
}

func (r *Report) fail(res *vegeta.Result, scenario string) {
	r.Failed++
	if res.Code != 0 {
		r.Errors["status "+strconv.Itoa(int(res.Code))+" for "+scenario]++
		return
	}
	c := category(res.Error)
	r.Errors[c]++
	if c == "other" && r.other == "" {
		r.other = res.Error
	}
}

func (r *Report) slow(s Slow) {
	at, _ := slices.BinarySearchFunc(r.Slowest, s, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	if at < maxSlow {
		r.Slowest = slices.Insert(r.Slowest, at, s)
		r.Slowest = r.Slowest[:min(len(r.Slowest), maxSlow)]
	}
}

func (r *Report) finish(p *pacer, tr *transport) {
	r.Elapsed = time.Since(p.began)
	r.Peak = int(tr.peak.Load())
}

// reached is how many requests a second there were.
func (r *Report) reached() float64 {
	span := r.Elapsed
	if uint64(r.Requests) == r.Planned {
		// The last request is due one interval before the end of the plan.
		span = max(span, time.Duration(float64(r.Planned)/float64(r.Rate)*float64(time.Second)))
	}
	return float64(r.Requests) / max(span, time.Microsecond).Seconds()
}

// Write writes the report as text.
func (r *Report) Write(w io.Writer) error {
	var b bytes.Buffer
	r.writeHead(&b)
	r.writeTimes(&b)
	r.writeStatuses(&b)
	r.writeErrors(&b)
	r.writeSlowest(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) writeHead(b *bytes.Buffer) {
	fmt.Fprintf(b, "target        %s\n", r.URL)
	fmt.Fprintf(b, "requests      %d of %d planned, in %.1f s", r.Requests, r.Planned, r.Elapsed.Seconds())
	if r.Interrupted > 0 {
		fmt.Fprintf(b, "; %d cut off", r.Interrupted)
	}
	fmt.Fprintf(b, "\nrate          %d/s asked, %.1f/s reached\n", r.Rate, r.reached())
	fmt.Fprintf(b, "failed        %d (%.2f%%)\n", r.Failed, 100*float64(r.Failed)/float64(max(r.Requests, 1)))
}

func (r *Report) writeTimes(b *bytes.Buffer) {
	fmt.Fprintln(b)
	tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "response time\trequests\tfailed\tp50\tp90\tp99\tmax\t")
	line := func(name string, requests, failed int, t *times) {
		p50, p90, p99, longest := t.text()
		fmt.Fprintf(tab, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n", name, requests, failed, p50, p90, p99, longest)
	}
	for _, row := range r.Scenarios {
		line(row.Name, row.Requests, row.Failed, row.response)
	}
	line("total", r.Requests, r.Failed, r.response)
	if r.Failed > 0 {
		line("failed alone", r.Failed, r.Failed, r.failed)
	}
	tab.Flush()
	p50, _, p99, longest := r.lag.text()
	fmt.Fprintf(b, "\nsent after it was due: p50 %s, p99 %s, max %s\n", p50, p99, longest)
	fmt.Fprintf(b, "in flight: %d at most", r.Peak)
	if r.Peak >= r.MaxWorkers {
		fmt.Fprint(b, ", which is -max-workers: others had to wait for these")
	}
	fmt.Fprintln(b)
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
	if r.other != "" {
		fmt.Fprintf(b, "  the first other: %s\n", r.other)
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

func status(code int) string {
	if code == 0 {
		return "no answer"
	}
	return strconv.Itoa(code)
}

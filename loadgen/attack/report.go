package attack

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Report is what came of an attack. Response times count from when a request was
// due; Lag is how much later than due it was sent.
type Report struct {
	URL         string
	Rate        int
	Planned     uint64
	Requests    int // answered or failed
	Failed      int // no answer, or not the status that the scenario expects
	Interrupted int // cut off by the end of the attack
	Elapsed     time.Duration
	Scenarios   []*Row         // in order of name
	Errors      map[string]int // by category
	Slowest     []Slow         // slowest first

	response *times
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
	Status   int
	TraceID  string
}

const maxSlow = 5

// times are durations from 1 µs to 10 min, with three digits.
type times struct{ h *hdrhistogram.Histogram }

func newTimes() *times { return &times{hdrhistogram.New(1, 600_000_000, 3)} }

func (t *times) add(d time.Duration) {
	t.h.RecordValue(min(max(d.Microseconds(), 1), 600_000_000)) // in range: no error
}

func (t *times) quantile(q float64) time.Duration {
	return time.Duration(t.h.ValueAtQuantile(100*q)) * time.Microsecond
}

func (t *times) max() time.Duration { return time.Duration(t.h.Max()) * time.Microsecond }

func newReport(c Config, planned uint64) *Report {
	r := &Report{URL: c.URL, Rate: c.Rate, Planned: planned, Errors: map[string]int{},
		response: newTimes(), lag: newTimes(), rows: map[string]*Row{}}
	for _, name := range slices.Sorted(maps.Keys(c.Mix)) {
		if c.Mix[name] > 0 {
			row := &Row{Name: name, Statuses: map[int]int{}, response: newTimes()}
			r.rows[name] = row
			r.Scenarios = append(r.Scenarios, row)
		}
	}
	return r
}

func (r *Report) add(res *vegeta.Result, n *note, p *pacer) {
	if interrupted(p.ctx, res) {
		r.Interrupted++
		return
	}
	due := p.began.Add(p.due(res.Seq))
	response := res.End().Sub(due)
	row := r.rows[n.scenario.name]
	r.Requests++
	row.Requests++
	row.Statuses[int(res.Code)]++
	if int(res.Code) != n.scenario.want {
		r.Failed++
		row.Failed++
		if res.Code == 0 {
			r.Errors[category(res.Error)]++
		} else {
			r.Errors["status "+strconv.Itoa(int(res.Code))+" for "+row.Name]++
		}
	}
	r.response.add(response)
	row.response.add(response)
	r.lag.add(res.Timestamp.Sub(due))
	slow := Slow{response, row.Name, int(res.Code), n.traceID}
	at, _ := slices.BinarySearchFunc(r.Slowest, slow, func(a, b Slow) int { return cmp.Compare(b.Response, a.Response) })
	if at < maxSlow {
		r.Slowest = slices.Insert(r.Slowest, at, slow)
		r.Slowest = r.Slowest[:min(len(r.Slowest), maxSlow)]
	}
}

func (r *Report) finish(p *pacer) { r.Elapsed = time.Since(p.began) }

// Write writes the report as text.
func (r *Report) Write(w io.Writer) error {
	t := &errWriter{w: w}
	span := r.Elapsed
	if uint64(r.Requests) == r.Planned {
		// The last request is due one interval before the end of the plan.
		span = max(span, time.Duration(float64(r.Planned)/float64(r.Rate)*float64(time.Second)))
	}
	reached := float64(r.Requests) / max(span, time.Microsecond).Seconds()
	fmt.Fprintf(t, "target        %s\n", r.URL)
	fmt.Fprintf(t, "requests      %d of %d planned, in %.1f s", r.Requests, r.Planned, r.Elapsed.Seconds())
	if r.Interrupted > 0 {
		fmt.Fprintf(t, "; %d cut off", r.Interrupted)
	}
	fmt.Fprintf(t, "\nrate          %d/s asked, %.1f/s reached\n", r.Rate, reached)
	fmt.Fprintf(t, "failed        %d (%.2f%%)\n\n", r.Failed, 100*float64(r.Failed)/float64(max(r.Requests, 1)))

	tab := tabwriter.NewWriter(t, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "response time\trequests\tfailed\tp50\tp90\tp99\tmax\t")
	for _, row := range r.Scenarios {
		line(tab, row.Name, row.Requests, row.Failed, row.response)
	}
	line(tab, "total", r.Requests, r.Failed, r.response)
	tab.Flush()
	fmt.Fprintf(t, "\nsent after it was due: p50 %s, p99 %s, max %s\n\nstatus codes\n", ms(r.lag.quantile(0.5)), ms(r.lag.quantile(0.99)), ms(r.lag.max()))
	for _, row := range r.Scenarios {
		fmt.Fprintf(t, "  %-8s", row.Name)
		for _, code := range slices.Sorted(maps.Keys(row.Statuses)) {
			name := strconv.Itoa(code)
			if code == 0 {
				name = "no answer"
			}
			fmt.Fprintf(t, "  %s: %d", name, row.Statuses[code])
		}
		fmt.Fprintln(t)
	}
	if len(r.Errors) > 0 {
		fmt.Fprintln(t, "\nerrors")
		for _, name := range slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int {
			return cmp.Or(cmp.Compare(r.Errors[b], r.Errors[a]), cmp.Compare(a, b))
		}) {
			fmt.Fprintf(t, "  %-28s %d\n", name, r.Errors[name])
		}
	}
	if len(r.Slowest) > 0 {
		fmt.Fprintln(t, "\nslowest requests")
		for _, s := range r.Slowest {
			fmt.Fprintf(t, "  %10s  %-7s %3d  trace %s\n", ms(s.Response), s.Scenario, s.Status, s.TraceID)
		}
	}
	return t.err
}

func line(w io.Writer, name string, requests, failed int, t *times) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n", name, requests, failed,
		ms(t.quantile(0.5)), ms(t.quantile(0.9)), ms(t.quantile(0.99)), ms(t.max()))
}

// ms writes a duration in milliseconds, so that columns can be compared.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

// errWriter keeps the first error, so that a report is checked once, at its end.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(b []byte) (int, error) {
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
	return len(b), nil
}

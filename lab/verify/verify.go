// Package verify checks the telemetry of a running lab end to end: it sends a short load of
// known requests, and compares what the backends recorded with it.
//
// Each check is one line of the result: what was measured, or why it failed. Telemetry that
// is late is waited for, up to Options.Patience. A lab in use can be verified, too:
// the requests of the load are identified by their trace IDs, and requests of other clients are
// counted separately.
package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"soundcheck/dashboards"
)

// Options describe the lab to verify, and how.
type Options struct {
	Environment string // deployment.environment.name of the services
	Proxy       string // URLs, without a final slash
	Prometheus  string
	Jaeger      string

	Patience time.Duration // max wait after the load for late telemetry

	MaxSeries      int // of a metric
	MaxTotalSeries int // of all

	Dashboards []dashboards.Dashboard
	Rules      []RuleName // that Prometheus must have loaded

	Logs   []LogSource // what the services wrote
	NoLogs []NoLog     // logs that are not available
	// StoreElsewhere means that the album store is external, with its own
	// environment name.
	StoreElsewhere bool
	// InMemory means that the album store has no database, and so no telemetry of one.
	InMemory bool

	Programs []Program // of the lab's components; none: unknown
	UpHint   string    // what to check if the lab does not respond

	Generator Generator
	// Progress, if not nil, is called with the current step.
	Progress func(string)
}

// NoLog is a log that is not available, and why; without a name it is all of them.
type NoLog struct{ Log, Why string }

// Outcome of a check.
type Outcome string

// Outcomes. A check is skipped only if the options have no source for it.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "FAILED"
	Skipped Outcome = "skipped"
)

// Check is one line of the result.
type Check struct {
	Name    string   `json:"name"`
	Outcome Outcome  `json:"outcome"`
	Text    string   `json:"text"`              // what was measured, or why it failed
	Details []string `json:"details,omitempty"` // problems, or notes
}

// maxDetails is the max number of details shown per check.
const maxDetails = 12

// Result of a verification.
type Result struct {
	Environment string    `json:"environment"`
	RunID       string    `json:"run_id,omitempty"`
	StartedAt   time.Time `json:"started_at"`
	Seconds     float64   `json:"seconds"`
	Checks      []Check   `json:"checks"`
}

// Failed returns how many checks failed.
func (r *Result) Failed() int {
	n := 0
	for _, c := range r.Checks {
		if c.Outcome == Failed {
			n++
		}
	}
	return n
}

// passed and failed make the checks of one name.
func passed(name, format string, args ...any) Check {
	return Check{Name: name, Outcome: OK, Text: fmt.Sprintf(format, args...)}
}

func failed(name, format string, args ...any) Check {
	return Check{Name: name, Outcome: Failed, Text: fmt.Sprintf(format, args...)}
}

// verdict fails if there are problems: they are its details.
func verdict(name string, wrong problems, format string, args ...any) Check {
	c := passed(name, format, args...)
	if len(wrong) > 0 {
		c.Outcome, c.Details = Failed, shorten(wrong)
	}
	return c
}

// single fails if there is a problem: the first is its text.
func single(name string, wrong problems, format string, args ...any) Check {
	if len(wrong) > 0 {
		return failed(name, "%s", wrong[0])
	}
	return passed(name, format, args...)
}

// problems is a list of problems, one line each.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func shorten(list []string) []string {
	if n := len(list); n > maxDetails {
		return append(list[:maxDetails:maxDetails], fmt.Sprintf("… and %d more", n-maxDetails))
	}
	return list
}

// WriteJSON writes the result as a JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// WriteText writes the result as a table.
func (r *Result) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CHECK\tRESULT\tMEASURED")
	for _, c := range r.Checks {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", c.Name, c.Outcome, c.Text)
		for _, d := range c.Details {
			fmt.Fprintf(tw, "\t\t  %s\n", d)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	verdict := "all checks ok"
	if n := r.Failed(); n > 0 {
		verdict = fmt.Sprintf("%d of %d checks FAILED", n, len(r.Checks))
	}
	_, err := fmt.Fprintf(w, "\n%s: environment %s, %.0f s\n", verdict, r.Environment, r.Seconds)
	return err
}

// reachTimeout is the timeout of the first requests.
const reachTimeout = 5 * time.Second

// session is a verification in progress.
type session struct {
	Options
	prom   *prometheus
	jaeger *jaeger
	load   *Load
	found  *found
}

func newSession(o Options) *session {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return &session{Options: o, prom: &prometheus{newBackend("Prometheus", o.Prometheus)}, jaeger: &jaeger{newBackend("Jaeger", o.Jaeger)}}
}

// Run verifies a lab. The error is only that of ctx: problems of the lab are in the result.
func Run(ctx context.Context, o Options) (*Result, error) {
	s := newSession(o)
	r := &Result{Environment: o.Environment, StartedAt: time.Now()}
	defer func() { r.Seconds = time.Since(r.StartedAt).Seconds() }()
	r.Checks = s.reach(ctx)
	if r.Failed() > 0 {
		return r, ctx.Err()
	}
	r.Checks = append(r.Checks, s.programs()...)
	s.Progress(fmt.Sprintf("sending %g req/s for %s, and some albums", o.Generator.Rate, o.Generator.Duration))
	load, err := o.Generator.Generate(ctx)
	if err != nil {
		r.Checks = append(r.Checks, failed("load", "%v", err))
		return r, ctx.Err()
	}
	s.load, r.RunID = load, load.RunID
	r.Checks = append(r.Checks, load.check())
	for _, step := range []struct {
		about string
		check func(context.Context) []Check
	}{
		{"checking traces", s.traces},
		{"checking logs", s.logs},
		{"comparing counts", s.counts},
		{"checking exemplars", s.exemplars},
		{"checking metrics and rules", s.metrics},
		{"checking panels", s.panels},
	} {
		s.Progress(step.about)
		r.Checks = append(r.Checks, step.check(ctx)...)
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// reach checks that proxy and backends respond.
func (s *session) reach(ctx context.Context) []Check {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var checks []Check
	for _, b := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"proxy responds", func(ctx context.Context) error {
			return newBackend("the proxy", s.Proxy).ask(ctx, "/healthz")
		}},
		{"Prometheus responds", func(ctx context.Context) error { _, err := s.prom.query(ctx, "vector(1)"); return err }},
		{"Jaeger responds", func(ctx context.Context) error { return s.jaeger.getJSON(ctx, "/api/services", nil, new(any)) }},
	} {
		if err := b.ask(ctx); err != nil {
			checks = append(checks, failed(b.name, "%v: %s", err, cmp.Or(s.UpHint, "is the lab up? (make lab-up, lab status)")))
		}
	}
	if checks == nil {
		checks = []Check{passed("backends respond", "%s", strings.Join([]string{s.Proxy, s.Prometheus, s.Jaeger}, ", "))}
	}
	return checks
}

// pollEvery is the interval of polling for late telemetry.
const pollEvery = 500 * time.Millisecond

// eventually repeats look until there is no problem, ctx ends, or the deadline: Patience after
// the load, or, if that has passed, a tenth of it later. It
// returns the problems of the last attempt; an error is one more problem.
func (s *session) eventually(ctx context.Context, look func(wrong *problems) error) (wrong problems) {
	deadline := s.load.End.Add(s.Patience)
	if least := time.Now().Add(s.Patience / 10); deadline.Before(least) {
		deadline = least
	}
	for {
		wrong = nil
		if err := look(&wrong); err != nil {
			wrong.add("%v", err)
		}
		if len(wrong) == 0 || !time.Now().Before(deadline) {
			return wrong
		}
		select {
		case <-ctx.Done():
			return wrong
		case <-time.After(min(pollEvery, s.Patience/10)):
		}
	}
}

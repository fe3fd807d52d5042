// Package verify proves that a running lab tells the truth: it sends a short load of
// which it knows every request, and asks the backends what they saw of it.
//
// Each check is one line of the result: what was measured, or why it failed. What arrives
// late is waited for, within Options.Patience. A lab that is in use can be verified too:
// the requests of the load are told apart by their trace ids, and what others send is
// counted beside them.
package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"soundcheck/dashboards"
)

// Options say which lab is verified, and how.
type Options struct {
	Environment string // deployment.environment.name of the services
	Proxy       string // URLs, without a final slash
	Prometheus  string
	Jaeger      string

	Patience time.Duration // how long after the load what arrives late is waited for

	MaxSeries      int // of a metric
	MaxTotalSeries int // of all

	Dashboards []dashboards.Dashboard
	Rules      []RuleName // that Prometheus must have loaded

	Logs   []LogSource // what the services wrote
	NoLogs []NoLog     // what they wrote and cannot be asked for
	// StoreElsewhere says that the album store was started by somebody else, who names its
	// environment.
	StoreElsewhere bool

	Generator Generator
	// Progress, if not nil, is told what goes on.
	Progress func(string)
}

// NoLog is a log that cannot be asked for, and why; without a name it is all of them.
type NoLog struct{ Log, Why string }

// Outcome of a check.
type Outcome string

// Outcomes. A check is skipped only if an option says that there is nothing to ask.
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
	Details []string `json:"details,omitempty"` // each thing that is wrong, or that is to be known
}

// maxDetails is how many things of one check are told.
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

// problems are what is wrong, each a line.
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
	verdict := "all is well"
	if n := r.Failed(); n > 0 {
		verdict = fmt.Sprintf("%d of %d checks FAILED", n, len(r.Checks))
	}
	_, err := fmt.Fprintf(w, "\n%s: environment %s, %.0f s\n", verdict, r.Environment, r.Seconds)
	return err
}

// reachTimeout is for the first questions.
const reachTimeout = 5 * time.Second

// session is a verification that goes on.
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

// Run verifies. The error is about ctx only: what is wrong with the lab is in the result.
func Run(ctx context.Context, o Options) (*Result, error) {
	s := newSession(o)
	r := &Result{Environment: o.Environment, StartedAt: time.Now()}
	defer func() { r.Seconds = time.Since(r.StartedAt).Seconds() }()
	r.Checks = s.reach(ctx)
	if r.Failed() > 0 {
		return r, ctx.Err()
	}
	s.Progress(fmt.Sprintf("sending %g requests/s for %s, and some albums", o.Generator.Rate, o.Generator.Duration))
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
		{"reading the traces", s.traces},
		{"reading the logs", s.logs},
		{"counting", s.counts},
		{"following exemplars", s.exemplars},
		{"looking at metrics and rules", s.metrics},
		{"looking at every panel", s.panels},
	} {
		s.Progress(step.about)
		r.Checks = append(r.Checks, step.check(ctx)...)
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// reach makes sure that there is somebody to ask.
func (s *session) reach(ctx context.Context) []Check {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var checks []Check
	for _, b := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"proxy answers", func(ctx context.Context) error {
			return newBackend("the proxy", s.Proxy).ask(ctx, "/healthz")
		}},
		{"Prometheus answers", func(ctx context.Context) error { _, err := s.prom.query(ctx, "vector(1)"); return err }},
		{"Jaeger answers", func(ctx context.Context) error { return s.jaeger.getJSON(ctx, "/api/services", nil, new(any)) }},
	} {
		if err := b.ask(ctx); err != nil {
			checks = append(checks, failed(b.name, "%v: is the lab up? (make lab-up, lab status)", err))
		}
	}
	if checks == nil {
		checks = []Check{passed("backends answer", "%s", strings.Join([]string{s.Proxy, s.Prometheus, s.Jaeger}, ", "))}
	}
	return checks
}

// pollEvery is how often is looked for what arrives late.
const pollEvery = 500 * time.Millisecond

// eventually looks until nothing is wrong, ctx has ended, or it is too late: Patience after
// the load, or, if that is over because other things did not come, a tenth of it later. It
// returns what was wrong the last time; an error is one problem more.
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

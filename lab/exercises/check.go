package exercises

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/jaegerapi"
)

// ErrNotVisible means that the lab does not show now what an answer is about.
var ErrNotVisible = errors.New("the lab does not show it now: is the load still running? (lab status)")

// Wrong is why an answer is wrong. Other errors are of the lab, or of the form of the answer.
type Wrong string

func (w Wrong) Error() string { return string(w) }

// traceID is the form of a trace id.
var traceID = regexp.MustCompile(`^[0-9a-fA-F]{1,32}$`)

// clockSlack is how much earlier than the exercise a span may begin: the load starts before its time is taken.
const clockSlack = 5 * time.Second

// Check checks an answer against the lab.
func (q *Question) Check(ctx context.Context, l Lab, answer string) error {
	switch {
	case q.Choice != nil:
		return q.Choice.check(ctx, l, answer)
	case q.Label != nil:
		return q.Label.check(ctx, l, answer)
	case q.Value != nil:
		return q.Value.check(ctx, l, answer)
	case q.Trace != nil:
		return q.Trace.check(ctx, l, answer)
	}
	return q.Query.check(ctx, l, answer)
}

func (c *Choice) check(ctx context.Context, l Lab, answer string) error {
	if !slices.Contains(c.Of, answer) {
		return fmt.Errorf("%q is not one of %s", answer, strings.Join(c.Of, ", "))
	}
	if answer != c.Is {
		return Wrong("wrong")
	}
	if c.Fault != "" {
		service, kind, _ := strings.Cut(c.Fault, " ")
		list, err := l.faults(ctx, service)
		if err == nil && !slices.ContainsFunc(list, func(f string) bool { return strings.HasPrefix(f, kind+"=") }) {
			err = ErrNotVisible
		}
		return err
	}
	if c.Skew != "" {
		d, _, err := l.skew(ctx, c.Skew)
		if err == nil && d <= time.Second {
			err = ErrNotVisible
		}
		return err
	}
	if c.Found != nil {
		ok, err := c.Found.holds(ctx, l)
		if err == nil && !ok {
			err = ErrNotVisible
		}
		return err
	}
	list, err := l.query(ctx, c.Query, time.Time{})
	if err == nil && len(list) == 0 {
		err = ErrNotVisible
	}
	return err
}

// holds reports whether the search has such a trace. No condition is no.
func (f *Found) holds(ctx context.Context, l Lab) (bool, error) {
	list, err := l.search(ctx, f.Search)
	return slices.ContainsFunc(list, func(t *jaegerapi.Trace) bool { return holds(t, f.Spans) }), err
}

// holds reports whether what the symptom has beside its query shows.
func (s *Symptom) holds(ctx context.Context, l Lab) (bool, error) {
	if s.Skew != "" {
		if d, _, err := l.skew(ctx, s.Skew); err != nil || d <= time.Second {
			return false, err
		}
	}
	if s.Found != nil {
		return s.Found.holds(ctx, l)
	}
	return true, nil
}

func (v *Value) check(ctx context.Context, l Lab, answer string) error {
	n, err := parseNumber(answer, v.Unit)
	if err != nil {
		return err
	}
	measured, ok, err := v.measure(ctx, l)
	switch {
	case err != nil:
		return err
	case !ok:
		return ErrNotVisible
	case !near(n, measured, v.Tolerance):
		read := Number(n, v.Unit)
		if v.Unit == "s" { // 310 is no 310ms
			read = time.Duration(n * float64(time.Second)).Round(10 * time.Microsecond).String()
		}
		return Wrong(fmt.Sprintf("wrong: %s is not within %.0f%% of what the lab measures now", read, 100*v.Tolerance))
	}
	return nil
}

func (v *Value) measure(ctx context.Context, l Lab) (n float64, ok bool, err error) {
	if v.Skew != "" {
		d, ok, err := l.skew(ctx, v.Skew)
		return d.Seconds(), ok, err
	}
	return l.one(ctx, v.Query)
}

func (c *Label) check(ctx context.Context, l Lab, answer string) error {
	list, err := l.query(ctx, c.Query, time.Time{})
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return ErrNotVisible
	case answer != list[0].labels[c.Name]:
		return Wrong("wrong")
	}
	return nil
}

// near reports whether n is m within a tolerance.
func near(n, m, tolerance float64) bool { return math.Abs(n-m) <= tolerance*math.Abs(m) }

// parseNumber parses 310ms or 0.31 for s, 12% or 0.12 for share, and plain numbers.
func parseNumber(text, unit string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	want := "a number, as in 12.5"
	switch unit {
	case "s":
		if d, e := time.ParseDuration(text); err != nil && e == nil {
			return d.Seconds(), nil
		}
		want = "a time, as in 310ms, or seconds, as in 0.31"
	case "share":
		if p, percent := strings.CutSuffix(text, "%"); percent {
			n, err = strconv.ParseFloat(p, 64)
			n /= 100
		}
		want = "a share, as in 12% or 0.12"
	}
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q must be %s", text, want)
	}
	return n, nil
}

// Number prints a number so that parseNumber reads it.
func Number(n float64, unit string) string {
	switch unit {
	case "s":
		return fmt.Sprintf("%.4gms", n*1000)
	case "share":
		return fmt.Sprintf("%.3g%%", n*100)
	}
	return fmt.Sprintf("%.3g", n)
}

func (t *Trace) check(ctx context.Context, l Lab, answer string) error {
	if _, id, ok := strings.Cut(answer, "/trace/"); ok { // the address of its page
		answer, _, _ = strings.Cut(strings.TrimRight(id, "/"), "?")
	}
	if !traceID.MatchString(answer) {
		return fmt.Errorf("%q is not a trace id: 32 hexadecimal digits", answer)
	}
	trace, err := l.jaeger().Trace(ctx, answer)
	var status *jaegerapi.Error
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return Wrong("wrong: Jaeger has no such trace")
	} else if err != nil {
		return err
	}
	for _, s := range trace.Spans {
		if s.Start().Before(l.Begun.Add(-clockSlack)) {
			return Wrong("wrong: the trace is older than the exercise")
		}
	}
	if !holds(trace, t.Spans) {
		return Wrong("wrong: the trace does not show it")
	}
	return nil
}

func (q *Query) check(ctx context.Context, l Lab, answer string) error {
	measured, ok, err := l.one(ctx, q.Same)
	if err == nil && !ok {
		err = ErrNotVisible
	}
	if err != nil {
		return err
	}
	list, err := l.query(ctx, answer, time.Time{})
	var bad badQuery
	switch {
	case errors.As(err, &bad):
		return Wrong("wrong: " + bad.Error())
	case err != nil:
		return err
	case len(list) == 0:
		return Wrong("wrong: the query has no result")
	case len(list) > 1:
		return Wrong(fmt.Sprintf("wrong: the query has %d results, want one: aggregate them", len(list)))
	case !near(list[0].number, measured, q.Tolerance):
		return Wrong(fmt.Sprintf("wrong: the query is %.4g now, not within %.0f%% of what it should be", list[0].number, 100*q.Tolerance))
	}
	// At a time before all data, a query of metrics has no result, and a constant has its own.
	if old, err := l.query(ctx, answer, time.Unix(1, 0)); err != nil {
		return err
	} else if len(old) > 0 && near(old[0].number, list[0].number, q.Tolerance) { // not that of "or vector(0)"
		return Wrong("wrong: the query does not read a metric")
	}
	return nil
}

package exercises

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/jaegerapi"
)

// ErrNoResult means that a step of a solution has no result now.
var ErrNoResult = errors.New("no result")

// Await waits until the symptom shows, and returns the line that shows it. It ends when active returns an
// error.
func (x *Exercise) Await(ctx context.Context, l Lab, limit time.Duration, active func(context.Context) error) (shown string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if err := active(ctx); err != nil && ctx.Err() == nil {
			return "", err
		}
		if time.Since(l.Begun) < max(minSince, x.Symptom.After) {
			if !sleep(ctx, 500*time.Millisecond) {
				return "", ctx.Err()
			}
			continue
		}
		n, ok, err := l.one(ctx, x.Symptom.Query)
		if ok && err == nil {
			ok, err = x.Symptom.holds(ctx, l)
		}
		if ok && err == nil {
			return strings.ReplaceAll(l.Expand(x.Symptom.Shows), "{value}", Number(n, x.Symptom.Unit)), nil
		}
		if errors.As(err, new(badQuery)) {
			return "", err
		}
		if sleep(ctx, 500*time.Millisecond) {
			continue
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", errors.Join(fmt.Errorf("the symptom did not show within %s: is the machine busy?", limit), err)
		}
		return "", ctx.Err()
	}
}

// sleep returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Solve writes the solution with the results that its steps have on the lab now, and returns the
// answers.
func (x *Exercise) Solve(ctx context.Context, l Lab, w io.Writer) (map[string]string, error) {
	answers := map[string]string{}
	for i, s := range x.Solution {
		fmt.Fprintf(w, "%d. %s\n", i+1, indent(l.Expand(s.Text)))
		result, err := s.run(ctx, l, x.question(s.Gives), w)
		if err != nil {
			return nil, fmt.Errorf("step %d of the solution: %w", i+1, err)
		}
		if s.Gives != "" {
			answers[s.Gives] = result
		}
		maps.Copy(answers, s.Answer)
		fmt.Fprintln(w)
	}
	return answers, nil
}

func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n   ")
}

// run writes what the step queries and its result, which it returns as an answer to q.
func (s Step) run(ctx context.Context, l Lab, q *Question, w io.Writer) (string, error) {
	if s.Shell != "" {
		fmt.Fprintf(w, "   %s\n", l.Expand(s.Shell))
	}
	switch {
	case s.Skew != "":
		fmt.Fprintf(w, "   curl -s '%s/api/traces?service=%s&limit=20'\n", l.Jaeger(), s.Skew)
		d, ok, err := l.skew(ctx, s.Skew)
		if err == nil && !ok {
			err = ErrNoResult
		}
		fmt.Fprintf(w, "   -> %s\n", d)
		return Number(d.Seconds(), "s"), err
	case s.Query != "":
		expr := l.Expand(s.Query)
		fmt.Fprintf(w, "   curl -s %s/api/v1/query --data-urlencode 'query=%s'\n", l.Prometheus(), expr)
		list, err := l.query(ctx, expr, time.Time{})
		if err != nil {
			return "", err
		}
		unit := ""
		if q != nil && q.Value != nil {
			unit = q.Value.Unit
		}
		for _, v := range list[:min(len(list), 10)] {
			fmt.Fprintf(w, "   -> %s%s\n", labels(v.labels), Number(v.number, unit))
		}
		switch {
		case q == nil:
			return "", nil
		case len(list) == 0:
			return "", ErrNoResult
		case q.Query != nil:
			return expr, nil
		case q.Label != nil:
			return list[0].labels[q.Label.Name], nil
		}
		return Number(list[0].number, unit), nil
	case s.Traces != "":
		fmt.Fprintf(w, "   curl -s '%s/api/traces?%s'\n", l.Jaeger(), s.Traces)
		list, err := l.search(ctx, s.Traces)
		if err != nil || q == nil {
			return "", err
		}
		// The conditions of a search can be met by several spans of a trace, in Jaeger with Badger.
		i := slices.IndexFunc(list, func(t *jaegerapi.Trace) bool { return holds(t, q.Trace.Spans) })
		if i < 0 {
			return "", ErrNoResult
		}
		fmt.Fprintf(w, "   -> %s/trace/%s, number %d of %d\n", l.Console(), list[i].TraceID, i+1, len(list))
		return list[i].TraceID, nil
	}
	return "", nil
}

func labels(all map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=%s ", name, all[name])
	}
	return b.String()
}

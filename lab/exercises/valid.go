package exercises

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"soundcheck/lab/plan"
)

// check returns what is wrong with an exercise.
func (x *Exercise) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for field, text := range map[string]string{"title": x.Title, "teaches": x.Teaches, "report": x.Report, "remember": x.Remember, "symptom.query": x.Symptom.Query, "symptom.shows": x.Symptom.Shows} {
		if strings.TrimSpace(text) == "" {
			bad("%s is missing", field)
		}
	}
	if x.Level < 1 || x.Level > 3 {
		bad("level %d is out of range: 1 to 3", x.Level)
	}
	if x.Minutes < 1 || x.Minutes > 60 {
		bad("minutes %d is out of range: 1 to 60", x.Minutes)
	}
	if len(x.Ask) == 0 || len(x.Hints) == 0 || len(x.Solution) == 0 || len(x.Setup.Load) == 0 {
		bad("ask, hints, solution and setup.load need one entry at least")
	}
	for name, c := range x.Setup.Components {
		prefix, service := prefixes[name]
		switch {
		case !service && name != collector:
			bad("setup.components: %q is not %s, %s, %s or %s", name, plan.StoreName, plan.SecondStoreName, plan.ProxyName, collector)
		case !service && (c.Fault != "" || c.Flags != nil), prefix != "" && c.Config != "":
			bad("setup.components.%s: fault and flags are for services, config is for %s", name, collector)
		}
	}
	for _, l := range x.Setup.Load {
		if _, ok := prefixes[l.To]; !ok {
			bad("setup.load: to: %q is no service", l.To)
		}
	}
	if err := x.Symptom.Found.check("symptom.found"); err != nil {
		bad("%w", err)
	}
	for _, q := range x.Ask {
		if word := x.givesAway(q); word != "" {
			bad("ask.%s: the name, the title or the report says %q, which is the answer", q.Key, word)
		}
	}
	given := map[string]bool{}
	for _, s := range x.Solution {
		for key := range s.Answer {
			given[key] = true
		}
		if s.Gives != "" {
			given[s.Gives] = true
			if q := x.question(s.Gives); q != nil && (q.Trace != nil) != (s.Traces != "") {
				bad("solution: %s needs %s", s.Gives, map[bool]string{true: "traces", false: "query"}[q.Trace != nil])
			}
		}
	}
	keys := map[string]bool{}
	for _, q := range x.Ask {
		if err := q.check(); err != nil {
			bad("ask.%s: %w", q.Key, err)
		}
		if keys[q.Key] {
			bad("ask.%s is a duplicate", q.Key)
		}
		if keys[q.Key] = true; !given[q.Key] {
			bad("ask.%s: the solution does not give it", q.Key)
		}
		delete(given, q.Key)
	}
	for key := range given {
		bad("solution: %s is not asked", key)
	}
	return errors.Join(errs...)
}

// key is the form of a key.
var key = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// one reports whether exactly one is true.
func one(list ...bool) bool {
	n := 0
	for _, b := range list {
		if b {
			n++
		}
	}
	return n == 1
}

func (q *Question) check() error {
	switch {
	case !key.MatchString(q.Key):
		return errors.New("the key must be lower-case letters, digits and hyphens")
	case q.Text == "":
		return errors.New("text is missing")
	case !one(q.Choice != nil, q.Label != nil, q.Value != nil, q.Trace != nil, q.Query != nil):
		return errors.New("must have one of choice, label, value, trace and query")
	case q.Choice != nil && (!slices.Contains(q.Choice.Of, q.Choice.Is) || len(q.Choice.Of) < 3):
		return errors.New("choice: of needs three names at least, and is one of them")
	case q.Choice != nil && !one(q.Choice.Query != "", q.Choice.Fault != "", q.Choice.Skew != "", q.Choice.Found != nil):
		return errors.New("choice: must have one of query, fault, skew and found")
	case q.Label != nil && (q.Label.Query == "" || q.Label.Name == ""):
		return errors.New("label: needs a query and a name")
	case q.Value != nil && ((q.Value.Query == "") == (q.Value.Skew == "") || q.Value.Tolerance <= 0 || q.Value.Tolerance > 0.5 || !slices.Contains([]string{"", "s", "share"}, q.Value.Unit)):
		return errors.New("value: needs a query or skew, a unit (s, share or none) and a tolerance above 0 and up to 0.5")
	case q.Query != nil && (q.Query.Same == "" || q.Query.Tolerance <= 0 || q.Query.Tolerance > 0.5):
		return errors.New("query: needs same and a tolerance above 0 and up to 0.5")
	case q.Trace != nil && len(q.Trace.Spans) == 0:
		return errors.New("trace: needs a condition")
	}
	if q.Trace != nil {
		return checkSpans("trace", q.Trace.Spans)
	}
	if q.Choice != nil {
		return q.Choice.Found.check("choice.found")
	}
	return nil
}

func checkSpans(field string, list []Span) error {
	for _, s := range list {
		if _, err := regexp.Compile(s.Name); err != nil {
			return fmt.Errorf("%s: name: %w", field, err)
		}
	}
	return nil
}

func (f *Found) check(field string) error {
	switch {
	case f == nil:
		return nil
	case f.Search == "" || len(f.Spans) == 0:
		return fmt.Errorf("%s: needs search and spans", field)
	}
	return checkSpans(field, f.Spans)
}

// givesAway returns a word of the right choice that the user reads before the questions; "" if there is
// none. Components are named everywhere.
func (x *Exercise) givesAway(q Question) string {
	if q.Choice == nil {
		return ""
	}
	if _, service := prefixes[q.Choice.Is]; service || q.Choice.Is == collector {
		return ""
	}
	text := strings.ToLower(strings.Join([]string{x.Name, x.Title, x.Report, x.Symptom.Shows}, " "))
	for _, word := range append(strings.Split(q.Choice.Is, "-"), q.Choice.Is) {
		whole := word == q.Choice.Is
		if (whole || len(word) > 3 && word != "slow") && regexp.MustCompile(`\b`+regexp.QuoteMeta(word)+`\b`).MatchString(text) {
			return word
		}
	}
	return ""
}

// Package exercises has exercises that check themselves. Each is a YAML file: what it changes in
// the lab, the load, the symptom, the questions with how the lab checks their answers, hints and
// a solution. The solution is evaluated on the lab and its answers pass the same checks.
package exercises

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"soundcheck/lab/plan"
)

//go:embed *.yaml
var files embed.FS

// Exercise is one exercise.
type Exercise struct {
	Name     string `yaml:"-"` // of the file
	Title    string
	Level    int // 1 to 3
	Minutes  int
	Teaches  string
	Report   string // what the pager, or a user, says
	Setup    Setup
	Symptom  Symptom
	Ask      []Question
	Hints    []string
	Solution []Step
	Remember string
}

// Setup is how the exercise changes the lab.
type Setup struct {
	Albums     int                  // created before the load starts
	Components map[string]Component // by name
	Load       []Load
}

// Component is what the exercise changes of one component.
type Component struct {
	Fault  string            // as for -fault
	Flags  map[string]string // without the hyphen
	Env    map[string]string
	Config string // of the Collector: YAML that is merged into its configuration
}

// Load is a load generator.
type Load struct {
	To   string // component
	Args string // of loadgen, separated by spaces
}

// Symptom is what shows that the exercise has begun.
type Symptom struct {
	Query string        // has a result once the symptom shows
	After time.Duration // since the load began: it may show earlier for another reason
	Skew  string        // as of Choice, beside Query
	Found *Found        // beside Query
	Shows string        // one line, with {value}
	Unit  string
}

// Question is one part of the answer. It has exactly one check.
type Question struct {
	Key    string
	Text   string
	Choice *Choice
	Value  *Value
	Label  *Label
	Trace  *Trace
	Query  *Query
}

// Choice is one of several names.
type Choice struct {
	Of []string
	Is string
	// What proves it in the lab: a query with a result, or an active fault, as in "album-store db-delay".
	// Or a service whose spans begin more than a second after those of its callers, or a trace.
	Query string
	Fault string
	Skew  string
	Found *Found
}

// Found is a search in Jaeger that has a trace with these spans.
type Found struct {
	Search string // query of /api/traces
	Spans  []Span
}

// Value is a number that the lab measures when the answer is given.
type Value struct {
	Query     string // PromQL with one value
	Skew      string // in place of Query: a service, see Lab.skew
	Unit      string // s, share, or empty
	Tolerance float64
}

// Label is the value of a label in the first result of a query.
type Label struct{ Query, Name string }

// Trace is the id of a trace that shows something. Each condition needs a span.
type Trace struct{ Spans []Span }

// Query is a PromQL expression of the user, whose value must be that of Same.
type Query struct {
	Same      string
	Tolerance float64
}

// Span is a condition on a span. Empty fields match every span.
type Span struct {
	Service string
	Name    string // regular expression of the whole name
	Kind    string
	Tags    map[string]string
	Longer  time.Duration // its duration
	Self    time.Duration // its duration without its children
	Failed  bool
	Root    bool          // no parent
	Outside time.Duration // begins before its parent, or after its parent's end, by this much
	Least   int           // number of such spans; 0: 1
	None    bool          // no such span
}

// Step is a step of the solution.
type Step struct {
	Text   string
	Query  string            // PromQL
	Skew   string            // service, as in Value
	Traces string            // query of /api/traces, as in service=proxy-service&minDuration=200ms
	Shell  string            // a command
	Gives  string            // key that the first result answers
	Answer map[string]string // keys that the text answers
}

// since is a placeholder of queries: the time since the load began, so that they do not see what was
// before.
const since = "${since}"

// Range of since. Metrics are exported each second.
const (
	minSince = 8 * time.Second
	maxSince = 5 * time.Minute
)

// All returns the exercises by level and name.
func All() ([]*Exercise, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var list []*Exercise
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		x, err := Parse(strings.TrimSuffix(e.Name(), ".yaml"), text)
		if err != nil {
			return nil, fmt.Errorf("lab/exercises/%s: %w", e.Name(), err)
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b *Exercise) int {
		if a.Level != b.Level {
			return a.Level - b.Level
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, nil
}

// Parse parses and checks an exercise. Errors of the YAML, such as an unknown field, have its line.
func Parse(name string, text []byte) (*Exercise, error) {
	x := &Exercise{Name: name}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(x); err != nil {
		return nil, errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return x, x.check()
}

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

func (x *Exercise) question(key string) *Question {
	for i := range x.Ask {
		if x.Ask[i].Key == key {
			return &x.Ask[i]
		}
	}
	return nil
}

// Named returns an exercise.
func Named(name string) (*Exercise, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.Name == name {
			return x, nil
		}
	}
	return nil, fmt.Errorf("no exercise %q: lab exercise list shows them", name)
}

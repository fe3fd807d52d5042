// Package exercises has exercises that check themselves. Each is a YAML file: what it changes in
// the lab, the load, the symptom, the questions with how the lab checks their answers, hints and
// a solution. The solution is evaluated on the lab and its answers pass the same checks.
package exercises

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
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

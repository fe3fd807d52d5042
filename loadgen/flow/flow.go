// Package flow reads flows: the steps of a user, with what one response has used in later requests.
package flow

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/brianvoe/gofakeit/v7"
	"github.com/goccy/go-yaml"

	"soundcheck/loadgen/targets"
)

// Limits of a file.
const (
	maxSteps  = 50
	maxRepeat = 1000
	maxThink  = time.Hour
)

// Flow are the steps of each user. It is immutable.
type Flow struct {
	Name   string
	Steps  []*Step
	Source *Source // for other machines; nil: not kept

	columns   []string                 // names of all variables, in the order of a user's values
	constants map[string]targets.Value // of variables
	fakes     []fake                   // one value for each user
	data      *targets.Data            // one row for each user; nil: none
}

// Relative reports whether a step has a path of the run's service: not a full URL, nor a link of a response.
func (f *Flow) Relative() bool {
	return slices.ContainsFunc(f.Steps, func(s *Step) bool { return s.Full() == "" && !s.follows })
}

// fake is a variable with a value of gofakeit for each user.
type fake struct{ name, pattern string }

// file is a flow file.
type file struct {
	Name      string            `yaml:"name"`
	Data      string            `yaml:"data"`
	Variables map[string]any    `yaml:"variables"`
	Fake      map[string]string `yaml:"fake"`
	Think     string            `yaml:"think"`
	Steps     []stepFile        `yaml:"steps"`
}

// stepFile is a step of a file.
type stepFile struct {
	Name     string            `yaml:"name"`
	Get      string            `yaml:"get"`
	Head     string            `yaml:"head"`
	Post     string            `yaml:"post"`
	Put      string            `yaml:"put"`
	Patch    string            `yaml:"patch"`
	Delete   string            `yaml:"delete"`
	Method   string            `yaml:"method"`
	URL      string            `yaml:"url"`
	Headers  map[string]string `yaml:"headers"`
	Body     string            `yaml:"body"`
	JSON     any               `yaml:"json"`
	Form     yaml.MapSlice     `yaml:"form"`
	Expect   any               `yaml:"expect"`
	Extract  yaml.MapSlice     `yaml:"extract"`
	Check    []string          `yaml:"check"`
	If       string            `yaml:"if"`
	Repeat   *int              `yaml:"repeat"`
	Think    string            `yaml:"think"`
	Continue bool              `yaml:"continue"`
}

// namePattern matches the name of a step or a flow: it is a scenario of the report, and of -slo.
var namePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,39}$`)

// variablePattern matches the name of a variable: expressions have it too.
var variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reserved are names in expressions that are no variables.
var reserved = []string{"status", "header", "body", "json", "user"}

// located is an error at a place of the file, as in $.steps[1].check[0].
type located struct {
	at string
	error
}

func (e located) Unwrap() error { return e.error }

// at returns an error at a place of the file.
func at(path string, err error) error {
	if err == nil {
		return nil
	}
	return located{path, err}
}

// parse parses a flow file. Open reads another file.
func parse(name string, text []byte, open func(string) ([]byte, error)) (*Flow, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if err := checkNesting(text); err != nil {
		return nil, err
	}
	var c file
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict(), yaml.UseOrderedMap()); err != nil {
		return nil, yamlError(text, err)
	}
	if err := checkDocument(text); err != nil {
		return nil, err
	}
	f := &Flow{Name: name}
	if err := f.compile(&c, open); err != nil {
		line := 1
		if l := (located{}); errors.As(err, &l) {
			line = lineOf(text, l.at)
		}
		return nil, fmt.Errorf("%d: %w", line, err)
	}
	return f, nil
}

func (f *Flow) compile(c *file, open func(string) ([]byte, error)) error {
	if c.Name != "" {
		f.Name = c.Name
	}
	switch {
	case !namePattern.MatchString(f.Name):
		return at("$.name", fmt.Errorf("%q is not a name of a flow: a letter, then up to 39 letters, digits, _ and -; set name", f.Name))
	case len(c.Steps) == 0:
		return errors.New("no steps")
	case len(c.Steps) > maxSteps:
		return at("$.steps", fmt.Errorf("%d steps, at most %d", len(c.Steps), maxSteps))
	}
	if err := f.declare(c, open); err != nil {
		return err
	}
	var think Think
	if c.Think != "" {
		if err := think.Set(c.Think); err != nil {
			return at("$.think", err)
		}
	}
	names := []string{f.Name}
	for i := range c.Steps {
		s, place := &c.Steps[i], fmt.Sprintf("$.steps[%d]", i)
		switch {
		case !namePattern.MatchString(s.Name):
			return at(place, fmt.Errorf("step %d: %q is not a name: a letter, then up to 39 letters, digits, _ and -", i+1, s.Name))
		case s.Name == f.Name && c.Name == "":
			return at(place+".name", fmt.Errorf("step %s: the flow has this name too, that of its file: set name", s.Name))
		case s.Name == f.Name:
			return at(place+".name", fmt.Errorf("step %s: the flow has this name", s.Name))
		case slices.Contains(names, s.Name):
			return at(place+".name", fmt.Errorf("step %s: another step has this name", s.Name))
		}
		names = append(names, s.Name)
		step, err := f.newStep(s, think, place, open)
		if err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
		f.Steps = append(f.Steps, step)
	}
	return f.used(c)
}

// declare declares the variables: a step may use those of the file, and those that earlier steps extract.
func (f *Flow) declare(c *file, open func(string) ([]byte, error)) error {
	f.constants = map[string]targets.Value{}
	f.columns = []string{"user"}
	if c.Data != "" {
		text, err := open(c.Data)
		if err != nil {
			return at("$.data", err)
		}
		if f.data, err = targets.ReadData(c.Data, bytes.NewReader(text)); err != nil {
			return at("$.data", err)
		}
		for _, name := range f.data.Columns {
			if err := f.variable(name); err != nil {
				return at("$.data", err)
			}
		}
	}
	for _, name := range sortedKeys(c.Variables) {
		v, ok := valueOf(c.Variables[name])
		if !ok {
			return at("$.variables."+name, fmt.Errorf("variable %s is not a string, a number, true, false or null", name))
		}
		if err := f.variable(name); err != nil {
			return at("$.variables", err)
		}
		f.constants[name] = v
	}
	for _, name := range sortedKeys(c.Fake) {
		if err := f.variable(name); err != nil {
			return at("$.fake", err)
		}
		if err := checkFake(c.Fake[name]); err != nil {
			return at("$.fake."+name, fmt.Errorf("fake %s: %w", name, err))
		}
		f.fakes = append(f.fakes, fake{name, c.Fake[name]})
	}
	return nil
}

// variable declares a variable. A name is declared once, but for values that several steps extract.
func (f *Flow) variable(name string) error {
	switch {
	case slices.Contains(reserved, name):
		return fmt.Errorf("variable %s has a reserved name: %s", name, strings.Join(reserved, ", "))
	case !variablePattern.MatchString(name):
		return fmt.Errorf("%q is not a name of a variable: a letter, then letters, digits and _", name)
	case slices.Contains(f.columns, name):
		return fmt.Errorf("variable %s is declared twice", name)
	}
	f.columns = append(f.columns, name)
	return nil
}

// used returns an error if nothing uses a variable of the file: it is likely misspelt elsewhere. A data file may have
// columns for other purposes, and a step may extract a value only to fail without it.
func (f *Flow) used(c *file) error {
	for _, section := range []struct {
		name  string
		names []string
	}{{"variables", sortedKeys(c.Variables)}, {"fake", sortedKeys(c.Fake)}} {
		for _, name := range section.names {
			if !slices.ContainsFunc(f.Steps, func(s *Step) bool { return s.uses.has(name) }) {
				return at("$."+section.name+"."+name, fmt.Errorf("no step uses variable %s", name))
			}
		}
	}
	return nil
}

var fakePattern = regexp.MustCompile(`\{([A-Za-z0-9_]*)[^{}]*\}`)

// checkFake checks a pattern of gofakeit, which leaves unknown functions as they are.
func checkFake(pattern string) error {
	found := fakePattern.FindAllStringSubmatch(pattern, -1)
	for _, m := range found {
		if gofakeit.GetFuncLookup(m[1]) == nil {
			return fmt.Errorf("gofakeit has no function %q, as in {email}", m[1])
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%q has no function of gofakeit, as in {email}", pattern)
	}
	_, err := gofakeit.NewFaker(rand.NewPCG(1, 1), false).Generate(pattern)
	return err
}

package flow

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/brianvoe/gofakeit/v7"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/targets"
)

// User goes through a flow once. It is for one goroutine.
type User struct {
	flow   *Flow
	rng    *rand.Rand
	values map[string]targets.Value
	env    map[string]any      // of expressions
	from   map[string]*url.URL // of the responses whose values are links
	step   int                 // the next one
	sent   int                 // of its repetitions
	last   *Step
	think  *Think // in place of those of the flow
}

// NewUser returns user n of a run, counted from 0. Users with the same number and seed have the same values.
func (f *Flow) NewUser(n, seed uint64) *User {
	u := &User{flow: f, rng: rand.New(rand.NewPCG(seed, n)), values: maps.Clone(f.constants), env: map[string]any{}, from: map[string]*url.URL{}}
	u.set("user", targets.Value{Text: fmt.Sprint(n), Literal: true}, int64(n))
	for name, v := range f.constants {
		u.set(name, v, anyOf(v))
	}
	if f.data != nil {
		row := f.data.Rows[n%uint64(len(f.data.Rows))]
		for i, name := range f.data.Columns {
			u.set(name, row[i], anyOf(row[i]))
		}
	}
	if len(f.fakes) > 0 {
		faker := gofakeit.NewFaker(rand.NewPCG(seed, ^n), false)
		for _, x := range f.fakes {
			text, _ := faker.Generate(x.pattern) // was checked
			u.set(x.name, targets.Value{Text: text}, text)
		}
	}
	return u
}

func (u *User) set(name string, v targets.Value, native any) {
	u.values[name], u.env[name] = v, native
}

// Next returns the next step; nil: the flow is complete. With a failure, the step cannot be sent.
func (u *User) Next() (*Step, *Failure) {
	for u.step < len(u.flow.Steps) {
		s := u.flow.Steps[u.step]
		if u.sent == s.repeat {
			u.step, u.sent = u.step+1, 0
			continue
		}
		if s.condition != nil {
			holds, err := s.condition.holds(u.env)
			if err != nil {
				u.step, u.sent, u.last = u.step+1, 0, s
				return s, &Failure{"if " + s.condition.text, err.Error()}
			}
			if !holds {
				u.step, u.sent = u.step+1, 0
				continue
			}
		}
		u.sent++
		u.last = s
		return s, nil
	}
	return nil, nil
}

// Think sets the think time after each step, in place of those of the flow.
func (u *User) Think(t Think) { u.think = &t }

// More reports whether steps are left.
func (u *User) More() bool {
	return u.step < len(u.flow.Steps)-1 || u.step < len(u.flow.Steps) && u.sent < u.flow.Steps[u.step].repeat
}

// Pause returns the think time after the last step.
func (u *User) Pause() time.Duration {
	if u.last == nil { // all steps were skipped: the next user must not come at once
		return 100 * time.Millisecond
	}
	t := u.last.think
	if u.think != nil {
		t = *u.think
	}
	return t.From + time.Duration(u.rng.Float64()*float64(t.To-t.From))
}

// CarriesOn reports whether the user goes on after a failure of the last step.
func (u *User) CarriesOn() bool { return u.last.carryOn }

// Request returns the request of a step.
func (u *User) Request(s *Step) (vegeta.Target, error) {
	for _, name := range s.placeholders {
		if _, ok := u.values[name]; !ok {
			return vegeta.Target{}, fmt.Errorf("variable %s has no value: the step that extracts it was skipped or failed", name)
		}
	}
	if s.template == nil && s.link == "" {
		return s.target, nil
	}
	t := s.target
	if s.template != nil {
		t = s.template.RenderRow(u.row())
		if err := targets.CheckHeader(t.Header); err != nil {
			return t, err
		}
	}
	if s.link != "" {
		link, err := u.link(s.link)
		if err != nil {
			return t, fmt.Errorf("variable %s is not a link: %w", s.link, err)
		}
		t.URL = link
	}
	return t, nil
}

// link returns a variable as a URL. That of a response is relative to the URL of the response, any other one to that of
// the service.
func (u *User) link(name string) (string, error) {
	v, from := u.values[name], u.from[name]
	switch {
	case v.Literal:
		return "", fmt.Errorf("it is %s, not a text", v.Text)
	case v.Text == "":
		return "", errors.New("it is empty")
	case from != nil:
		to, err := from.Parse(v.Text)
		if err != nil {
			return "", err
		}
		return to.String(), targets.CheckURL(to.String())
	case strings.HasPrefix(v.Text, "/") && !strings.HasPrefix(v.Text, "//"):
		return v.Text, targets.CheckURL("http://service" + v.Text)
	}
	return v.Text, targets.CheckURL(v.Text)
}

// row returns the values for a template.
func (u *User) row() []targets.Value {
	row := make([]targets.Value, 0, len(u.flow.columns))
	for _, name := range u.flow.columns {
		row = append(row, u.values[name])
	}
	return row
}

// Failure is a response that fails a check.
type Failure struct {
	Check  string // the same text for each such response
	Detail string
}

// Response is a response to a step, whose status is expected.
type Response struct {
	URL    *url.URL // after redirects
	Status int
	Header http.Header
	Body   []byte
	Err    error // the body could not be read
}

// Respond takes the response to a step: it extracts values and checks it.
func (u *User) Respond(s *Step, resp Response) *Failure {
	if !s.Reads() {
		return nil
	}
	r := response{header: resp.Header, body: resp.Body, err: resp.Err}
	said := func(format string, args ...any) string {
		return fmt.Sprintf("status %d, %d bytes: ", resp.Status, len(resp.Body)) + fmt.Sprintf(format, args...)
	}
	for _, x := range s.extracts {
		v, native, err := x.of(&r, u.rng)
		if err != nil && x.value != nil {
			v, native, err = *x.value, anyOf(*x.value), nil
		}
		if err != nil {
			return &Failure{"extract " + x.name, said("%v", err)}
		}
		u.set(x.name, v, native)
		u.from[x.name] = resp.URL
	}
	if len(s.checks) == 0 {
		return nil
	}
	u.env["status"], u.env["body"], u.env["json"], u.env["header"] = resp.Status, "", nil, resp.Header.Get
	// A body may have megabytes, and there may be thousands of users: only what is used, and not while they think.
	if s.uses.has("body") {
		u.env["body"] = string(resp.Body)
	}
	if s.uses.has("json") {
		if v, err := r.json(); err == nil {
			u.env["json"] = native(v)
		}
	}
	defer func() { u.env["body"], u.env["json"], u.env["header"] = nil, nil, nil }()
	for _, x := range s.checks {
		if r.err != nil && (x.uses.has("body") || x.uses.has("json")) { // without it, body == "" would be true
			return &Failure{x.text, said("%v", r.err)}
		}
		holds, e := x.holds(u.env)
		switch {
		case e != nil && r.failed() != nil:
			return &Failure{x.text, said("%v; %v", e, r.failed())}
		case e != nil:
			return &Failure{x.text, said("%v", e)}
		case !holds && x.uses.has("json") && r.failed() != nil:
			return &Failure{x.text, said("false; %v", r.failed())}
		case !holds:
			return &Failure{x.text, said("false")}
		}
	}
	return nil
}

package workload

import (
	"fmt"

	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/targets"
)

// CheckFlow returns an error if a step of the flow cannot be prepared.
func (w Workload) CheckFlow() error {
	return (&Source{Workload: w}).prepareFlow()
}

// prepareFlow prepares the steps of a flow.
func (s *Source) prepareFlow() error {
	if s.Flow == nil {
		return nil
	}
	s.steps = map[*flow.Step]prepared{}
	for _, step := range s.Flow.Steps {
		p := prepared{expect: new(Statuses), scenario: &Scenario{Name: step.Name, Operation: step.Operation}}
		text := step.Expect
		if text == "" {
			text = "2xx,3xx"
		}
		if err := p.expect.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("flow %s, step %s: expect: %w", s.Flow.Name, step.Name, err)
		}
		if over := s.Expect.of(step.Name); over != nil {
			p.expect = over
		}
		s.steps[step] = p
	}
	return nil
}

// StepRequest makes the request of a user's step.
func (s *Source) StepRequest(u *flow.User, step *flow.Step) (*Request, error) {
	t, err := u.Request(step)
	if err != nil {
		return nil, err
	}
	p := s.steps[step]
	r, err := p.ofTarget(&t)
	if err != nil {
		return nil, err
	}
	r.Header = targets.Override(r.Header, s.Header)
	if step.Reads() {
		r.Reads = Reads{Header: true, Body: MaxBody}
		r.check = func(resp Response) *Failure { return p.respond(u, step, resp) }
	}
	return r, nil
}

// respond gives a user the response to a step, unless its status is a failure already.
func (p prepared) respond(u *flow.User, step *flow.Step, resp Response) *Failure {
	if !p.expect.Has(resp.Status) {
		return nil
	}
	body, err := resp.Content()
	f := u.Respond(step, flow.Response{URL: resp.URL, Status: resp.Status, Header: resp.Header, Body: body, Err: err})
	if f == nil {
		return nil
	}
	return &Failure{f.Check, f.Detail}
}

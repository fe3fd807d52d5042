package workload

import (
	"fmt"
	"net/url"

	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/schedule"
)

// generate makes the generators of requests from the contract: ids are per service.
func (s *Source) generate(seed uint64, arms int) {
	for range arms {
		s.generators = append(s.generators, s.Contract.NewGenerator(seed, s.Mix, s.Invalid))
	}
	s.scenarios = map[string]*Scenario{}
	for _, o := range s.Contract.Operations {
		for _, name := range []string{o.Name, o.Name + contract.InvalidSuffix} {
			s.scenarios[name] = &Scenario{Name: name, Operation: o.Method + " " + o.Path, Template: o.Path}
		}
	}
}

// generated returns a request from the contract.
func (s *Source) generated(p schedule.Pick) (*Request, error) {
	g, err := s.generators[p.Arm].Request(p.Number)
	if err != nil {
		return nil, err
	}
	name := g.Operation.Name
	if g.Invalid != "" {
		name += contract.InvalidSuffix
	}
	return &Request{Scenario: s.scenarios[name], Method: g.Operation.Method, Path: g.Path, Header: g.Header, Body: g.Body,
		Reads: Reads{Header: true, Body: MaxBody}, number: p.Number, generated: g}, nil
}

// check checks a response against the contract, and learns ids from it.
func (s *Source) check(arm int, base *url.URL, r *Request, resp Response) *Failure {
	f := s.generators[arm].Respond(r.generated, base, resp.Status, resp.Header, resp.Content)
	if f == nil {
		return nil
	}
	return &Failure{Check: f.Check, Detail: f.Detail}
}

// ContractMix returns the weights of a contract's operations: "": all are equal.
func ContractMix(c *contract.Contract, s string) (Mix, error) {
	if s != "" {
		return parseMix(s, c.Names(), "operations")
	}
	m := Mix{}
	for _, name := range c.Names() {
		m[name] = 1
	}
	return m, nil
}

// CheckInvalid returns an error if a share of invalid requests is none, or a mix has none of them.
func (w Workload) CheckInvalid() error {
	switch {
	case !(w.Invalid >= 0 && w.Invalid <= 1):
		return fmt.Errorf("%g is out of range: 0 to 1", w.Invalid)
	case w.Invalid > 0 && !w.Contract.Breakable(w.Mix):
		return fmt.Errorf("the contract allows everything: no operation of the mix has a request that it rejects")
	}
	return nil
}

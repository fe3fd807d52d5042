package options

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/schedule"
)

// readFlow reads the file of -flow.
func (f *Flags) readFlow(over http.Header) error {
	c := &f.Config
	if err := f.only("-flow", "mix", "targets", "replay", "record", "data", "each-once", "cookie-jar"); err != nil {
		return err
	}
	if f.Address() != "" {
		return f.Errorf("-flow and a URL argument do not go together: -url is the base URL of steps without a host")
	}
	if len(over["Traceparent"]) > 0 {
		return f.Errorf("-flow and -H traceparent do not go together: each user has a trace")
	}
	var err error
	if c.Flow, err = flow.Read(f.flow); err != nil {
		return f.Errorf("-flow: %v", err)
	}
	c.Mix, c.Header, c.Connect.CookieJar = nil, over, false // each user has a jar
	for _, s := range c.Flow.Steps {
		full := s.Full()
		if full == "" {
			continue
		}
		if err := c.Connect.CheckURL(full); err != nil {
			return f.Errorf("-flow: step %s: %v", s.Name, err)
		}
	}
	if !c.Flow.Relative() {
		if err := f.only("-flow, whose steps all have full URLs,", "url"); err != nil {
			return err
		}
		c.URL = f.flow
	}
	return f.usage(c.Workload.CheckFlow())
}

// population applies -users and -think: the closed model of a flow.
func (p *Plan) population(f *Flags) error {
	c := &f.Config
	if c.Flow == nil {
		if p.users != "" && f.given["users"] || p.think != "" && f.given["think"] {
			return f.Errorf("-users and -think need -flow")
		}
		return nil
	}
	if p.Processes == 0 {
		c.Flow.Source = nil // it is not sent to workers
		if err := f.only("-flow", "workers"); err != nil {
			return err
		}
	}
	if p.think != "" {
		c.Think = new(flow.Think)
		if err := c.Think.Set(p.think); err != nil {
			return f.Errorf("-think: %v", err)
		}
	}
	if p.users != "" && !f.given["users"] && (f.given["rate"] || f.given["stages"]) {
		p.users = "" // of the environment
	}
	if p.users == "" {
		if !f.given["rate"] && !f.given["stages"] {
			return f.Errorf("-flow needs -users (so many at once) or -rate (new users per second), as in -users 50 or -rate 2")
		}
		return nil
	}
	if err := f.only("-users", "rate", "stages"); err != nil {
		return err
	}
	p.rate, p.stages = 0, ""
	if n, err := strconv.Atoi(p.users); err == nil {
		return p.setUsers(f, float64(n), fmt.Sprintf("-users %d is", n))
	}
	stages, err := schedule.ParseLevels(p.users)
	if err != nil {
		return f.Errorf("-users: %v", err)
	}
	if err := f.only("-users with stages", "duration"); err != nil {
		return err
	}
	plan := schedule.Plan{Stages: stages}
	c.Users, p.duration = stages, plan.Duration()
	return p.setUsers(f, plan.Peak(), fmt.Sprintf("-users: the peak of %g users is", plan.Peak()))
}

// setUsers sets the max number of users at once, of a shard its own. Of is how an error begins.
func (p *Plan) setUsers(f *Flags, peak float64, of string) error {
	plan := f.Config.Plan
	processes := max(plan.Shards, uint64(p.Processes), 1)
	most := maxWorkers * processes
	switch {
	case !(peak >= 1 && peak <= float64(most)) && processes == 1:
		return f.Errorf("%s out of range: 1 to %d", of, most)
	case !(peak >= float64(processes) && peak <= float64(most)):
		return f.Errorf("%s out of range: %d to %d for %d processes, each with a user of its own", of, processes, most, processes)
	}
	f.Config.Workers = int(plan.Share(uint64(math.Ceil(peak - 1e-6))))
	f.Config.MaxWorkers = f.Config.Workers
	return nil
}

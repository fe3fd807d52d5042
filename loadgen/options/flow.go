package options

import (
	"net/http"
	"strconv"

	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/schedule"
)

// readFlow reads the file of -flow.
func (f *Flags) readFlow(over http.Header) error {
	c := &f.Config
	if err := f.only("-flow", "mix", "targets", "replay", "record", "data", "each-once", "workers", "cookie-jar"); err != nil {
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
	c.Header = over
	relative := false
	for _, s := range c.Flow.Steps {
		full := s.Full()
		if relative = relative || full == "" && !s.Follows(); full == "" {
			continue
		}
		if err := c.Connect.CheckURL(full); err != nil {
			return f.Errorf("-flow: step %s: %v", s.Name, err)
		}
	}
	if !relative {
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
		if n < 1 || n > maxWorkers {
			return f.Errorf("-users %d is out of range: 1 to %d", n, maxWorkers)
		}
		c.Workers = n
		return nil
	}
	stages, err := schedule.ParseLevels(p.users)
	if err != nil {
		return f.Errorf("-users: %v", err)
	}
	if err := f.only("-users with stages", "duration"); err != nil {
		return err
	}
	plan := schedule.Plan{Stages: stages}
	peak := plan.Peak()
	if peak < 1 || peak > maxWorkers {
		return f.Errorf("-users: the peak of %g users is out of range: 1 to %d", peak, maxWorkers)
	}
	c.Users, c.Workers, p.duration = stages, int(peak+0.999999), plan.Duration()
	return nil
}

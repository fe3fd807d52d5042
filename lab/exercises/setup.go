package exercises

import (
	"slices"
	"strings"

	"soundcheck/lab/plan"
)

const collector = "otel-collector"

// prefixes are the services, and the prefixes of the variables that set their flags.
var prefixes = map[string]string{plan.StoreName: "SOUNDCHECK_STORE_", plan.SecondStoreName: "SOUNDCHECK_STORE_", plan.ProxyName: "SOUNDCHECK_PROXY_"}

// Plan returns what the exercise changes in a lab. Flags are variables, which the process list does
// not show.
func (x *Exercise) Plan() plan.Exercise {
	p := plan.Exercise{Name: x.Name, Albums: x.Setup.Albums, Changes: map[string]plan.Change{}}
	for name, c := range x.Setup.Components {
		var change plan.Change
		set := func(flag, value string) {
			change.Env = append(change.Env, prefixes[name]+strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))+"="+value)
		}
		if c.Fault != "" {
			set("fault", c.Fault)
		}
		for flag, value := range c.Flags {
			set(flag, value)
		}
		for variable, value := range c.Env {
			change.Env = append(change.Env, variable+"="+value)
		}
		if c.Config != "" {
			change.Args = []string{"--config", "yaml:" + c.Config}
		}
		slices.Sort(change.Env)
		p.Changes[name] = change
	}
	for _, l := range x.Setup.Load {
		p.Loads = append(p.Loads, plan.Load{To: l.To, Args: strings.Fields(l.Args)})
	}
	return p
}

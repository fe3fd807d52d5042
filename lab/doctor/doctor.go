package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// Options are a lab, which may be up, down, or half up, and where to look.
type Options struct {
	Lab       plan.Lab
	Build     *build.Builder
	StateFlag string   // " -state FOLDER" where commands for this lab need it
	Environ   []string // of this process
	// Start limits the checks to what can keep a lab from starting.
	Start bool
	// Progress, if not nil, is called with the current step.
	Progress func(string)

	// Tests change these.
	sys      linux.System
	lookup   func(ctx context.Context, host string) ([]netip.Addr, error)
	interval time.Duration // between two samples
}

// doctor is the examination of a lab.
type doctor struct {
	Options
	components []plan.Component
	status     *supervisor.Status // nil: no supervisor responds
	saved      *supervisor.Status // of a supervisor that was killed, or does not respond
	unknown    error              // why the state of the lab is not known
	client     *http.Client

	first, second sample
}

// Run makes all checks. Its error is that of ctx, or that Options name another lab than the one that runs.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.lookup == nil {
		o.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.interval == 0 {
		o.interval = 1500 * time.Millisecond
	}
	d := &doctor{Options: o, client: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}}
	o.Progress("looking at the lab")
	if err := d.find(ctx); err != nil {
		return nil, err
	}
	d.components = d.Lab.Components()
	type check = func(context.Context) *Check
	if o.Start {
		return newResult(d.Lab.State, together(ctx, []check{d.checkLab, d.checkPorts, d.checkDisk, d.checkMemory, d.checkFiles, d.checkGo})), ctx.Err()
	}
	d.first = d.sample(ctx)
	o.Progress("checking ports, builds, this machine and the environment")
	lab := together(ctx, []check{d.checkLab, d.checkPorts, d.checkBuilds})
	machine := together(ctx, []check{d.checkDisk, d.checkMemory, d.checkFiles, d.checkClock, d.checkGo, d.checkVariables, d.checkProxies, d.checkLocalhost})
	select {
	case <-ctx.Done():
	case <-time.After(o.interval - time.Since(d.first.at)):
	}
	o.Progress("checking the services and their telemetry")
	d.second = d.sample(ctx)
	services := together(ctx, []check{d.checkOTLP, d.checkTelemetry, d.checkFaults, d.checkLimits, d.checkCPU})
	checks := slices.Concat(lab, services, machine)
	return newResult(d.Lab.State, checks), ctx.Err()
}

// together makes checks at the same time, and returns them in order.
func together(ctx context.Context, list []func(context.Context) *Check) []*Check {
	checks := make([]*Check, len(list))
	var wg sync.WaitGroup
	for i, f := range list {
		wg.Go(func() { checks[i] = f(ctx) })
	}
	wg.Wait()
	return checks
}

// find reads the state of the lab. Its ports and stores are those that it runs with.
func (d *doctor) find(ctx context.Context) error {
	client, st, err := supervisor.Connect(ctx, d.Lab.State)
	if err == nil && client != nil {
		d.status = &st
	} else {
		d.unknown = err
		if d.saved, err = supervisor.Saved(d.Lab.State); err != nil && d.unknown == nil {
			d.unknown = err
		}
	}
	if d.status != nil && d.Lab.Offset != 0 && d.Lab.Offset != d.status.PortOffset {
		return fmt.Errorf("the lab in %s runs with -port-offset %d, not %d: select another lab with -state", d.Lab.State, d.status.PortOffset, d.Lab.Offset)
	}
	if last, _ := plan.LastStart(d.Lab.State); last != nil && d.status == nil && !d.Start && d.Lab.Offset == 0 {
		d.Lab.Offset = last.Offset
	}
	for _, st := range []*supervisor.Status{d.status, d.saved} {
		if st != nil {
			d.Lab.Offset, d.Lab.Stores, d.Lab.OTLPEverywhere = st.PortOffset, st.Stores, st.OTLPEverywhere
			for _, p := range st.Components {
				d.Lab.Grafana = d.Lab.Grafana || p.Name == plan.GrafanaName
			}
		}
	}
	return nil
}

// processes are the components of the lab that run, by their state, also without a supervisor.
func (d *doctor) processes() (list []supervisor.ComponentStatus) {
	for _, st := range []*supervisor.Status{d.status, d.saved} {
		if st == nil {
			continue
		}
		for _, p := range st.Components {
			if p.Process.Alive() {
				list = append(list, p)
			}
		}
	}
	return list
}

// up returns the component of a name if a supervisor runs it and it is ready.
func (d *doctor) up(name string) *supervisor.ComponentStatus {
	if d.status == nil {
		return nil
	}
	for i := range d.status.Components {
		if p := &d.status.Components[i]; p.Name == name && p.State == supervisor.Ready {
			return p
		}
	}
	return nil
}

// exercise is the name of the one that is active. What it has changed is for its users to find out: no check shows it.
func (d *doctor) exercise() string {
	if d.status == nil {
		return ""
	}
	return d.status.Exercise
}

// collector is the component that receives telemetry.
const collector = "otel-collector"

// down is why there is nothing to look at without a lab.
const down = "the lab is not running"

// command is a command of the lab, to be typed. Flags come before arguments: after them they are arguments.
func (d *doctor) command(format string, args ...any) string {
	name, rest, _ := strings.Cut(fmt.Sprintf(format, args...), " ")
	return strings.TrimSpace("go run ./lab " + name + d.StateFlag + " " + rest)
}

// upCommand starts this lab again as it was started last, with more flags if not "", and the ports of an offset.
func (d *doctor) upCommand(flags string, offset int) string {
	last, _ := plan.LastStart(d.Lab.State)
	start, recorded := "up", 0
	if last != nil {
		start, recorded = "up -again", last.Offset
	} else if d.status != nil {
		start, recorded = "up -again", d.status.PortOffset
	}
	if offset != recorded {
		flags += fmt.Sprintf(" -port-offset %d", offset)
	}
	if d.Start && last != nil && !last.Of(d.Lab) { // it failed before they were recorded
		return "the same lab up with" + flags
	}
	return d.command("%s", start+flags)
}

// relative is a path for people: below the repository if it is there.
func (d *doctor) relative(path string) string {
	if r, err := filepath.Rel(d.Lab.Root, path); err == nil && !strings.HasPrefix(r, "..") {
		return r
	}
	return path
}

// services are the album stores and proxies that run, by their names in the lab or their URLs.
func (d *doctor) services() map[string]string {
	found := map[string]string{}
	if d.status == nil {
		return found
	}
	for _, name := range []string{plan.StoreName, plan.SecondStoreName, plan.ProxyName} {
		for _, p := range d.status.Components {
			if p.Name == name && p.Process.Alive() {
				found[name] = p.Address
			}
		}
	}
	for _, url := range d.Lab.Stores {
		found["the store at "+url] = url
	}
	return found
}

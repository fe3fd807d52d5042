package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"soundcheck/lab/doctor/clients"
	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/probe"
	"soundcheck/lab/supervisor"
)

// taken are ports of the lab that others have, for one reason.
type taken struct {
	by, ports   []string
	cause, next string
}

// checkPorts checks that each port of the lab is free, or belongs to the component that needs it.
func (d *doctor) checkPorts(context.Context) *Check {
	c := newCheck("ports")
	sockets, err := d.sys.Listeners()
	hidden := err != nil
	var list []*taken
	ports, own := 0, 0
	for _, p := range d.components {
		running := d.componentOf(p.Name)
		for _, port := range p.Ports {
			ports++
			by, what := d.taker(port.Number, sockets, hidden, running)
			switch {
			case what == "":
				continue
			case by != nil && d.status == nil && slices.ContainsFunc(d.processes(), func(p supervisor.ComponentStatus) bool { return p.Process.PID == by.PID }):
				own++ // checkLab reports them
				continue
			}
			cause, next := d.explainTaker(by, port.Number)
			i := slices.IndexFunc(list, func(t *taken) bool { return t.cause == cause && t.next == next })
			if i < 0 {
				list = append(list, &taken{cause: cause, next: next})
				i = len(list) - 1
			}
			if !slices.Contains(list[i].by, what) {
				list[i].by = append(list[i].by, what)
			}
			list[i].ports = append(list[i].ports, fmt.Sprintf("%d (%s)", port.Number, p.Name))
		}
	}
	for _, t := range list {
		which := "port " + t.ports[0] + " is"
		if len(t.ports) > 1 {
			which = "ports " + strings.Join(t.ports, ", ") + " are"
		}
		c.problem(which+" in use by "+strings.Join(t.by, ", "), t.cause, t.next)
	}
	if w := clients.Ports(d.Lab, d.sys); w != nil {
		next := "sudo sysctl -w net.ipv4.ip_local_port_range='32768 60999'"
		if w.OK {
			next = d.upCommand("", w.Offset)
		}
		c.warn(w.Text, w.Cause, next)
	}
	switch {
	case own > 0:
		c.note("%d of %d are in use by components of this lab, which no supervisor watches", own, ports)
	case d.status != nil && hidden:
		c.note("whether another process has a port of the lab is not known: %s has no /proc/net/tcp", runtime.GOOS)
	case d.status != nil:
		c.note("no other process has a port of the lab")
	default:
		c.note("all %d ports are free", ports)
	}
	return c
}

// componentOf returns a component's status; nil without a supervisor.
func (d *doctor) componentOf(name string) *supervisor.ComponentStatus {
	if d.status == nil {
		return nil
	}
	for i := range d.status.Components {
		if d.status.Components[i].Name == name {
			return &d.status.Components[i]
		}
	}
	return nil
}

// taker returns who else than the component has a port; "" if nobody has.
func (d *doctor) taker(port int, sockets []linux.Listener, hidden bool, running *supervisor.ComponentStatus) (*linux.Process, string) {
	if hidden {
		if running != nil && running.Process.Alive() || probe.Free(port) {
			return nil, ""
		}
		return nil, "a process that " + runtime.GOOS + " does not name without root"
	}
	for _, l := range sockets {
		if int(l.Addr.Port()) != port || !l.Local() {
			continue
		}
		p, ok := d.sys.Owner(l)
		switch {
		case ok && running != nil && p.PID == running.Process.PID:
			return nil, ""
		case ok:
			return &p, fmt.Sprintf("%s (pid %d)", p.Name(), p.PID)
		case running != nil && running.State == supervisor.Ready: // it responds; its owner is only not visible
			return nil, ""
		default:
			return nil, "a process of user " + l.User()
		}
	}
	return nil, ""
}

// explainTaker says where the process that has a port comes from, and how to get the port. by is nil if it is not known.
func (d *doctor) explainTaker(by *linux.Process, port int) (cause, next string) {
	offset, ok := clients.FreeOffset(d.Lab, d.sys)
	if !ok {
		offset = d.Lab.Offset + 100
	}
	move := d.upCommand("", offset)
	if by == nil {
		return "", fmt.Sprintf("sudo lsof -nP -iTCP:%d -sTCP:LISTEN"+or+"use other ports: %s", port, move)
	}
	exe := strings.TrimSuffix(by.Link("exe"), " (deleted)")
	if cwd := by.Link("cwd"); filepath.Dir(exe) == d.Build.Bin && cwd != d.Lab.State {
		if running, err := supervisor.Running(cwd); err == nil && running {
			return "another lab runs in " + cwd, "go run ./lab down -state " + cwd + or + "use other ports: " + move
		}
	}
	if by.Name() == "docker-proxy" {
		return "a container publishes the port", fmt.Sprintf("docker ps --filter publish=%d"+or+"use other ports: %s", port, move)
	}
	return "", "kill " + strconv.Itoa(by.PID) + or + "use other ports: " + move
}

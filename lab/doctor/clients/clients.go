// Package clients finds ports of a lab that the kernel can give to outgoing connections.
package clients

import (
	"fmt"

	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/plan"
	"soundcheck/lab/probe"
)

// FreeOffset returns a port offset at which every port is free, and none can be a client's.
func FreeOffset(l plan.Lab, sys linux.System) (offset int, ok bool) {
	clients, _ := sys.ClientPorts()
	return l.FreeOffset(func(port int) bool { return !clients.Has(port) && probe.Free(port) })
}

// Shared says that connections of this machine can have ports of the lab.
type Shared struct {
	Text, Cause string
	Offset      int
	OK          bool // at Offset they cannot
}

// Ports returns nil if no outgoing connection can have a port of a lab, or that is not known.
func Ports(l plan.Lab, sys linux.System) *Shared {
	clients, ok := sys.ClientPorts()
	list := l.PortsWhere(clients.Has)
	if !ok || list == nil {
		return nil
	}
	text := "port " + list[0] + " is"
	if len(list) > 1 {
		text = fmt.Sprintf("ports %s and %d more are", list[0], len(list)-1)
	}
	s := &Shared{Text: fmt.Sprintf("%s in the range of ports for outgoing connections, %d to %d", text, clients.Low, clients.High),
		Cause: "while a connection of any program has such a port, lab up fails"}
	s.Offset, s.OK = FreeOffset(l, sys)
	return s
}

// String is the warning of lab up.
func (s *Shared) String() string {
	text := "warning: " + s.Text + ": " + s.Cause
	if s.OK {
		text += fmt.Sprintf("; -port-offset %d avoids it", s.Offset)
	}
	return text
}

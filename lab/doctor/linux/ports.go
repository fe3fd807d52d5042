package linux

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// PortRange is the range of ports that the kernel gives to outgoing connections.
type PortRange struct {
	Low, High int
	reserved  [][2]int // not given
}

// ClientPorts reads the range of this system. ok is false if it does not show it.
func (s System) ClientPorts() (r PortRange, ok bool) {
	text, err := s.Read("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return r, false
	}
	if n, err := fmt.Sscan(text, &r.Low, &r.High); n != 2 || err != nil {
		return r, false
	}
	reserved, _ := s.Read("/proc/sys/net/ipv4/ip_local_reserved_ports") // such as 8080,33000-33100
	for part := range strings.SplitSeq(strings.TrimSpace(reserved), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if errA == nil && errB == nil {
			r.reserved = append(r.reserved, [2]int{a, b})
		}
	}
	return r, true
}

// Has reports whether an outgoing connection can get a port.
func (r PortRange) Has(port int) bool {
	return r.Low <= port && port <= r.High && !slices.ContainsFunc(r.reserved, func(p [2]int) bool { return p[0] <= port && port <= p[1] })
}

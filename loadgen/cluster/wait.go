package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const sayMissing = 5 * time.Second

// Wait waits until all workers are connected. Progress, if not nil, is called when that changes.
func (c *Coordinator) Wait(ctx context.Context, timeout time.Duration, progress func(here int)) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	say := time.NewTicker(sayMissing)
	defer say.Stop()
	said, here := "", -1
	for {
		missing, changed := c.missing()
		if n := c.Workers - len(missing); progress != nil && n != here {
			here = n
			progress(n)
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-say.C:
			text, fatal := c.why(ctx, missing)
			if fatal {
				return fmt.Errorf("%d of %d workers are connected: %s", c.Workers-len(missing), c.Workers, text)
			}
			if text != said {
				said = text
				c.log("%d of %d workers are connected: %s", c.Workers-len(missing), c.Workers, text)
			}
		case <-deadline.C:
			text, _ := c.why(ctx, missing)
			return fmt.Errorf("%d of %d workers are connected after %s: %s", c.Workers-len(missing), c.Workers, timeout, text)
		case <-ctx.Done():
			return fmt.Errorf("interrupted: %d of %d workers were connected", c.Workers-len(missing), c.Workers)
		}
	}
}

// everyone is the index of a reason that is not one worker's.
const everyone = -1

// maxNamed is the max number of workers that a message names.
const maxNamed = 5

// why describes the missing workers, first those with a known reason.
func (c *Coordinator) why(ctx context.Context, missing []int) (text string, fatal bool) {
	var reasons map[int]string
	if c.Missing != nil {
		reasons, fatal = c.Missing(ctx)
	}
	missing = slices.Clone(missing)
	slices.SortStableFunc(missing, func(a, b int) int {
		unknown := map[bool]int{true: 1}
		return unknown[reasons[a] == ""] - unknown[reasons[b] == ""]
	})
	var parts []string
	named := 0
	for _, same := range grouped(missing, reasons) {
		if len(parts) == maxNamed {
			parts = append(parts, fmt.Sprintf("%d more", len(missing)-named))
			break
		}
		parts = append(parts, workers(same)+": "+cmp.Or(reasons[same[0]], "not connected"))
		named += len(same)
	}
	if all := reasons[everyone]; all != "" {
		parts = append(parts, all)
	}
	return strings.Join(parts, "; "), fatal
}

// grouped returns the workers by reason, in order.
func grouped(missing []int, reasons map[int]string) (groups [][]int) {
	at := map[string]int{}
	for _, i := range missing {
		n, ok := at[reasons[i]]
		if !ok {
			n = len(groups)
			at[reasons[i]] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], i)
	}
	return groups
}

// workers names workers: all if they are few.
func workers(list []int) string {
	if len(list) == 1 {
		return fmt.Sprintf("worker %d", list[0])
	}
	var names []string
	for _, i := range list[:min(len(list), maxNamed)] {
		names = append(names, strconv.Itoa(i))
	}
	text := "workers " + strings.Join(names, ", ")
	if more := len(list) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Reachable returns the address at which workers reach a listener: that of all interfaces is the machine's
// name.
func Reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			host = "HOST"
		}
	}
	return net.JoinHostPort(host, port)
}

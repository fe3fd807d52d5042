package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"soundcheck/lab/probe"
)

// probe returns nil if the component is ready. Once a program of the user was, only a connection is
// opened: requests would be in its telemetry.
func (r *runner) probe(ctx context.Context) error {
	switch {
	case r.Command == "":
		return probe.Ready(ctx, r.Ready)
	case r.responded():
		return probe.Connects(ctx, r.Ready)
	}
	return probe.Responds(ctx, r.Ready)
}

// responded reports whether the running process was ready.
func (r *runner) responded() bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.state == Ready || r.state == Unready
}

// notReady is the error of a component that was not ready in time.
func (r *runner) notReady(limit time.Duration, last error) error {
	if r.Command == "" {
		return fmt.Errorf("%s did not respond with 200 within %s", r.Ready, limit)
	}
	if last == nil { // no time for a probe
		last = errors.New("no response")
	}
	return fmt.Errorf("not ready within %s: %w. Does it listen there (-with-url)? If it needs longer to start, set -with-timeout", limit, last)
}

// advice is what to do about a program of the user that did not start.
func (r *runner) advice(first bool) string {
	switch {
	case r.Command == "":
		return ""
	case first:
		return fmt.Sprintf("\nit is %q in %s: fix it or -with, then run the same lab up again", r.Command, r.Dir)
	}
	return "\nfix it, then: lab restart " + r.Name
}

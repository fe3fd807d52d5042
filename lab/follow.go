package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
	"soundcheck/lab/view"
)

// readiness is what lab up waits for.
type readiness string

const (
	waitAll      readiness = "all"
	waitServices readiness = "services"
)

// reached reports whether a lab is as ready as that. The services are those that albums go
// through: an external album store is none of the lab's.
func (r readiness) reached(st supervisor.Status) bool {
	if st.Phase == supervisor.Up || r == waitAll {
		return st.Phase == supervisor.Up
	}
	return !slices.ContainsFunc(st.Components, func(p supervisor.ComponentStatus) bool {
		return (p.Name == plan.StoreName || p.Name == plan.ProxyName) && p.State != supervisor.Ready
	})
}

// silence is how long follow waits for a response of a supervisor.
const silence = time.Minute

// follow shows the start of the lab until it is ready, done is closed, or ctx ends.
func follow(ctx context.Context, client *supervisor.Client, ready readiness, stderr io.Writer, done <-chan struct{}) (supervisor.Status, error) {
	v := view.New(stderr)
	defer v.Clear()
	failures, responded := 0, time.Now()
	for {
		st, err := client.Status(ctx)
		if err == nil {
			failures, responded = 0, time.Now()
			v.Update(st)
			switch {
			case st.Phase == supervisor.Stopping && done == nil:
				return st, errors.New(strings.TrimSuffix("the lab is stopping: "+st.Failure, ": "))
			case st.Phase != supervisor.Stopping && ready.reached(st):
				return st, nil
			}
		} else if failures++; done == nil && (failures > 10 || time.Since(responded) > silence) {
			return st, fmt.Errorf("the lab no longer responds: %w", err)
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-done:
			return st, errors.New("the supervisor exited")
		case <-time.After(supervisor.PollInterval):
		}
	}
}

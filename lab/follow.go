package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
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

// follow shows the start of the lab until it is ready, done is closed, or ctx ends.
func follow(ctx context.Context, client *supervisor.Client, ready readiness, stderr io.Writer, done <-chan struct{}) (supervisor.Status, error) {
	v := &view{Progress: cli.NewProgress(stderr), seen: map[string]supervisor.State{}, said: map[string]bool{}, begun: time.Now()}
	defer v.Clear()
	failures := 0
	for {
		st, err := client.Status(ctx)
		if err == nil {
			failures = 0
			v.update(st)
			switch {
			case st.Phase == supervisor.Stopping && done == nil:
				return st, errors.New(strings.TrimSuffix("the lab is stopping: "+st.Failure, ": "))
			case st.Phase != supervisor.Stopping && ready.reached(st):
				return st, nil
			}
		} else if failures++; done == nil && failures > 10 {
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

// view writes one line per state change, and a last one that shows the work in progress.
type view struct {
	*cli.Progress
	seen  map[string]supervisor.State
	said  map[string]bool
	begun time.Time
}

func (v *view) update(st supervisor.Status) {
	for _, p := range st.Components {
		if p.Reason != "" {
			v.once(fmt.Sprintf("%-15s %s", p.Name, p.Reason))
		}
		if p.Path != "" {
			v.once(fmt.Sprintf("%-15s uses     %s, version %s (%s)", p.Name, p.Path, p.Version, p.From))
		}
		if p.State == v.seen[p.Name] {
			continue
		}
		v.seen[p.Name] = p.State
		switch p.State {
		case supervisor.Ready:
			v.Line(fmt.Sprintf("%-15s ready    %5.1f s  %s", p.Name, time.Since(v.begun).Seconds(), p.Address))
		case supervisor.Building:
			v.Line(fmt.Sprintf("%-15s building", p.Name))
		}
	}
	v.Show(v.work(st))
}

// work is the line about the work in progress.
func (v *view) work(st supervisor.Status) string {
	var now []string
	if st.BuildsLeft > 0 {
		now = append(now, "about "+buildsLeft(st)+" left")
	}
	for _, p := range st.Components {
		switch {
		case p.State == supervisor.Building:
			now = append(now, fmt.Sprintf("building %s: %s, %.0f s", p.Name, buildStep(p), time.Since(p.Since).Seconds()))
		case p.State == supervisor.Downloading:
			now = append(now, downloading(p))
		case p.State == supervisor.Started:
			now = append(now, "starting "+p.Name)
		}
	}
	if st.Phase == supervisor.Stopping {
		now = append(now, "stopping")
	}
	return strings.Join(now, "; ")
}

// buildsLeft is the estimated time until all is built.
func buildsLeft(st supervisor.Status) string {
	if st.BuildsLeft > 90 {
		return fmt.Sprintf("%.0f min", math.Ceil(st.BuildsLeft/60))
	}
	return fmt.Sprintf("%.0f s", 10*math.Ceil(st.BuildsLeft/10))
}

// buildStep is how far the build of a component is. The main package is the last one: its
// binary is linked then.
func buildStep(p supervisor.ComponentStatus) string {
	switch {
	case p.Total == 0:
		return "listing packages, downloading their modules"
	case p.Done >= p.Total-1:
		return "linking"
	}
	return fmt.Sprintf("%d of %d packages", p.Done, p.Total)
}

// once writes a line unless it was written before.
func (v *view) once(line string) {
	if !v.said[line] {
		v.said[line] = true
		v.Line(line)
	}
}

// downloading shows the progress of a download.
func downloading(p supervisor.ComponentStatus) string {
	of := ""
	if p.Size > 0 {
		of = fmt.Sprintf(" of %d", p.Size>>20)
	}
	return fmt.Sprintf("downloading %s %s: %d%s MiB", p.Name, p.Version, p.Received>>20, of)
}

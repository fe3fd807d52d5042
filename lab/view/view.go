// Package view shows how a lab starts.
package view

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/supervisor"
)

// View writes one line per state change, and a last one that shows the work in progress.
type View struct {
	*cli.Progress
	seen  map[string]supervisor.State
	said  map[string]bool
	begun time.Time
}

// New returns a view that begins now.
func New(w io.Writer) *View {
	return &View{Progress: cli.NewProgress(w), seen: map[string]supervisor.State{}, said: map[string]bool{}, begun: time.Now()}
}

// Update shows what has changed.
func (v *View) Update(st supervisor.Status) {
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
func (v *View) work(st supervisor.Status) string {
	var now []string
	if st.BuildsLeft > 0 {
		now = append(now, "about "+BuildsLeft(st)+" left")
	}
	for _, p := range st.Components {
		switch {
		case p.State == supervisor.Building:
			now = append(now, fmt.Sprintf("building %s: %s, %.0f s", p.Name, BuildStep(p), time.Since(p.Since).Seconds()))
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

// BuildsLeft is the estimated time until all is built.
func BuildsLeft(st supervisor.Status) string {
	if st.BuildsLeft > 90 {
		return fmt.Sprintf("%.0f min", math.Ceil(st.BuildsLeft/60))
	}
	return fmt.Sprintf("%.0f s", 10*math.Ceil(st.BuildsLeft/10))
}

// BuildStep is how far the build of a component is. The main package is the last one: its
// binary is linked then.
func BuildStep(p supervisor.ComponentStatus) string {
	switch {
	case p.Total == 0:
		return "listing packages, downloading their modules"
	case p.Done >= p.Total-1:
		return "linking"
	}
	return fmt.Sprintf("%d of %d packages", p.Done, p.Total)
}

// once writes a line unless it was written before.
func (v *View) once(line string) {
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

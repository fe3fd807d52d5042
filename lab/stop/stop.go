// Package stop stops a lab and shows what it waits for.
package stop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// reportEvery is how often the component that is being stopped is named. Tests shorten it.
var reportEvery = 2 * time.Second

// stopping names the component that is being stopped, and when SIGKILL follows: components are stopped in reverse order.
// "": not known.
func stopping(list []supervisor.ComponentStatus, running func(supervisor.ComponentStatus) bool) string {
	for _, p := range slices.Backward(list) {
		if running(p) {
			return fmt.Sprintf(" %s, SIGKILL %.0f s after SIGTERM", p.Name, supervisor.Grace(p.From == supervisor.FromCommand).Seconds())
		}
	}
	return ""
}

// components returns the components of the lab; none if the supervisor does not respond soon.
func components(ctx context.Context, client *supervisor.Client) []supervisor.ComponentStatus {
	ctx, cancel := context.WithTimeout(ctx, reportEvery)
	defer cancel()
	st, _ := client.Status(ctx)
	return st.Components
}

// Sweep is supervisor.Sweep, and shows what it waits for.
func Sweep(state string, stderr io.Writer) (left bool, err error) {
	saved, err := supervisor.Saved(state)
	if err != nil || saved == nil {
		return false, err
	}
	begun, done := time.Now(), make(chan struct{})
	go func() { defer close(done); left, err = supervisor.Sweep(state) }()
	for tick := time.Tick(reportEvery); ; {
		select {
		case <-done:
			return left, err
		case <-tick:
			fmt.Fprintf(stderr, "%.0f s: still stopping%s\n", time.Since(begun).Seconds(),
				stopping(saved.Components, func(p supervisor.ComponentStatus) bool { return p.Process.Alive() || p.Build.Alive() }))
		}
	}
}

// exitTime is how long the process of a supervisor that has stopped may take to write its last error. Tests lengthen it.
var exitTime = 5 * time.Second

// Lab requests that the supervisor, which is process id, stop, and returns when it is gone.
func Lab(ctx context.Context, client *supervisor.Client, id proc.ID, state string, stderr io.Writer) error {
	begun := time.Now()
	responded := make(chan error, 1)
	go func() { responded <- client.Stop(ctx) }()
	var accepted bool
	var stopErr error
	var stopped time.Time
	for reported := begun; ; {
		running, err := supervisor.Running(state)
		if err == nil && !running && stopped.IsZero() {
			stopped = time.Now()
		}
		switch {
		case err == nil && !running && time.Since(stopped) < exitTime && id.PID != os.Getpid() && id.Alive():
		case err != nil || !running:
			// What it could not stop is in the log of a supervisor in the background.
			file := filepath.Join(state, "logs", supervisor.ErrName)
			if text, _ := os.ReadFile(file); len(text) > 0 {
				stderr.Write(text)
				os.Remove(file)
			}
			return err
		case stopErr != nil:
			return fmt.Errorf("stop the lab: %w", stopErr)
		}
		if time.Since(reported) > reportEvery {
			fmt.Fprintf(stderr, "%.0f s: still stopping%s\n", time.Since(begun).Seconds(),
				stopping(components(ctx, client), func(p supervisor.ComponentStatus) bool { return p.Process.PID != 0 }))
			reported = time.Now()
		}
		select {
		case stopErr = <-responded:
			accepted = stopErr == nil
		case <-ctx.Done():
			if !accepted {
				return errors.New("interrupted; the supervisor has not responded yet")
			}
			return errors.New("interrupted; the lab continues to stop")
		case <-time.After(supervisor.PollInterval / 3):
		}
	}
}

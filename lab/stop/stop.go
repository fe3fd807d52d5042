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

	"soundcheck/lab/supervisor"
)

// stopping names the component that is being stopped, and when SIGKILL follows: components are stopped in reverse order.
// "": not known.
func stopping(ctx context.Context, client *supervisor.Client) string {
	st, err := client.Status(ctx)
	if err != nil {
		return ""
	}
	for _, p := range slices.Backward(st.Components) {
		if p.Process.PID != 0 {
			return fmt.Sprintf(" %s, SIGKILL %.0f s after SIGTERM", p.Name, supervisor.Grace(p.From == supervisor.FromCommand).Seconds())
		}
	}
	return ""
}

// exitTime is how long the process of a supervisor that has stopped may take to write its last error. Tests lengthen it.
var exitTime = 5 * time.Second

// Lab requests that the supervisor stop, and returns when it is gone.
func Lab(ctx context.Context, client *supervisor.Client, state string, stderr io.Writer) error {
	begun := time.Now()
	st, _ := client.Status(ctx) // zero if it does not respond
	stopErr := client.Stop(ctx)
	var stopped time.Time
	for reported := begun; ; {
		running, err := supervisor.Running(state)
		if err == nil && !running && stopped.IsZero() {
			stopped = time.Now()
		}
		switch {
		case err == nil && !running && time.Since(stopped) < exitTime && st.Supervisor.PID != os.Getpid() && st.Supervisor.Alive():
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
		if time.Since(reported) > 2*time.Second {
			fmt.Fprintf(stderr, "%.0f s: still stopping%s\n", time.Since(begun).Seconds(), stopping(ctx, client))
			reported = time.Now()
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted; the lab continues to stop")
		case <-time.After(supervisor.PollInterval / 3):
		}
	}
}

// Package stop stops a lab and shows what it waits for.
package stop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"soundcheck/lab/supervisor"
)

// stopping names the component that is being stopped: components are stopped in reverse order. "": not known.
func stopping(ctx context.Context, client *supervisor.Client) string {
	st, err := client.Status(ctx)
	if err != nil {
		return ""
	}
	for _, p := range slices.Backward(st.Components) {
		if p.Process.PID != 0 {
			return " " + p.Name
		}
	}
	return ""
}

// Lab requests that the supervisor stop, and returns when it is gone.
func Lab(ctx context.Context, client *supervisor.Client, state string, stderr io.Writer) error {
	begun := time.Now()
	stopErr := client.Stop(ctx)
	for reported := begun; ; {
		running, err := supervisor.Running(state)
		switch {
		case err != nil || !running:
			return err
		case stopErr != nil:
			return fmt.Errorf("stop the lab: %w", stopErr)
		}
		if time.Since(reported) > 2*time.Second {
			fmt.Fprintf(stderr, "still stopping%s, %.0f s\n", stopping(ctx, client), time.Since(begun).Seconds())
			reported = time.Now()
		}
		select {
		case <-ctx.Done():
			return errors.New("interrupted; the lab continues to stop")
		case <-time.After(supervisor.PollInterval / 3):
		}
	}
}

package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Stop interrupts the run, which then writes its report. A second call has no effect: a second signal
// would kill loadgen.
func (r *Runner) Stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.status.State {
	case Building:
		r.cancel()
		return nil
	case Starting, Running:
		r.saved.Stopping, r.status.State = true, Stopping
		if err := r.save(); err != nil {
			return err
		}
		if err := r.saved.Process.Signal(syscall.SIGINT); !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return nil
	case Stopping:
		return nil
	}
	return ErrIdle
}

// Close stops the run and waits for its report, until ctx ends.
func (r *Runner) Close(ctx context.Context) error {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	if err := r.Stop(); errors.Is(err, ErrIdle) {
		return nil
	} else if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("loadgen still runs, as process %d", r.saved.Process.PID)
	}
}

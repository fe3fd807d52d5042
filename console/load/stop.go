package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// killAfter is how long a run that was interrupted may take to write its report. Its requests end first.
const killAfter = 30 * time.Second

// Stop interrupts the run, which then writes its report. A second call has no effect at first, because a second signal
// would end loadgen without its report. After killAfter it kills loadgen.
func (r *Runner) Stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.status.State {
	case Building:
		r.cancel()
		return nil
	case Starting, Running:
		r.saved.Stopped = time.Now()
		// Before the signal, so that a next console does not send another one. Without it, the run stops all the same.
		err := r.save()
		if e := r.signal(syscall.SIGINT); e != nil {
			return errors.Join(err, e)
		}
		r.status.State = Stopping
		return err
	case Stopping:
		if r.stuck() {
			return r.signal(syscall.SIGKILL)
		}
		return nil
	}
	return ErrIdle
}

// signal sends a signal to loadgen, if it has not ended. The caller holds mu.
func (r *Runner) signal(sig syscall.Signal) error {
	if err := r.saved.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// stuck reports whether the run should have written its report. The caller holds mu.
func (r *Runner) stuck() bool {
	return r.status.State == Stopping && time.Since(r.saved.Stopped) > killAfter
}

// Close stops the run and waits for its report, until ctx ends.
func (r *Runner) Close(ctx context.Context) error {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	err := r.Stop()
	if errors.Is(err, ErrIdle) {
		return nil
	}
	select {
	case <-done:
		return err
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return errors.Join(err, fmt.Errorf("loadgen still runs, as process %d", r.saved.Process.PID))
	}
}

package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
)

// Times of a component's lifecycle. Tests shorten them.
var (
	readyTimeout = 60 * time.Second // from start to ready
	stopGrace    = 25 * time.Second // from SIGTERM to SIGKILL: the lab's services need up to 21 s
	commandGrace = 10 * time.Second // the same for a program of the user, as in docker stop
	probeEvery   = 2 * time.Second
	minBackoff   = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
	settled      = 30 * time.Second // uptime after which the backoff is reset to minBackoff

	// Between the probes of a component that starts. Those of a program of the user become fewer: each is in
	// its log and its metrics.
	firstProbe  = 25 * time.Millisecond
	maxInterval = 500 * time.Millisecond

	minUptime = time.Second // uptime after which a component without a probe is ready: one with wrong flags has exited
)

// runner runs one component and restarts it when it exits.
type runner struct {
	plan.Component
	s     *Supervisor
	built chan struct{} // closed when the binary is built
	ready chan struct{} // closed when it was ready for the first time

	turn    chan struct{}   // held by the client whose restart is in progress
	restart chan chan error // a client requests a restart, and where to send its result
	op      sync.Mutex      // held while the process is started or stopped

	// Of a component of an exercise.
	stop context.CancelFunc
	gone chan error // receives the result of run

	// Guarded by s.mu.
	state     State
	detail    string
	id        proc.ID
	startedAt time.Time
	version   string       // of the running process
	pages     string       // URL of its web pages
	found     obtain.Found // in place of the binary of Target
	from      string       // see ComponentStatus.From
	reason    string       // see ComponentStatus.Reason
	download  *download    // of found
	restarts  int
	progress  *build.Progress // nil: it is not being built
	builder   proc.ID         // the go command that builds it
	ended     chan struct{}   // closed when the process that id names is reaped, and none of its group is left
	logFrom   int64           // size of its log when it started
	exit      string          // how it exited, as in "exit status 1"
	termed    time.Time       // when it was sent SIGTERM; zero: it was not
	change    plan.Change     // of an exercise
}

func newRunner(s *Supervisor, p plan.Component) *runner {
	r := &runner{Component: p, s: s, state: Waiting,
		built: make(chan struct{}), ready: make(chan struct{}),
		turn: make(chan struct{}, 1), restart: make(chan chan error)}
	if r.Command != "" {
		r.from = FromCommand
		close(r.built)
	}
	return r
}

func (r *runner) logPath() string { return filepath.Join(r.s.lab.Logs(), r.Name+".log") }

func (r *runner) set(st State, detail string) {
	r.s.set(func() { r.state, r.detail = st, detail })
}

// rebuild builds the binary if its sources changed. A running process continues.
func (r *runner) rebuild(ctx context.Context) error {
	p := &build.Progress{Begun: time.Now()}
	p.Runs = func(id proc.ID) { r.s.set(func() { r.builder = id }) }
	r.s.set(func() { r.progress = p })
	return r.builds(ctx, p, r.s.build.Build(ctx, r.Target, p))
}

// builds ends a build, and returns its error.
func (r *runner) builds(ctx context.Context, p *build.Progress, err error) error {
	r.s.set(func() { r.progress, r.builder = nil, proc.ID{} })
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &logError{err, r.s.build.Log(r.Target), 0}
	}
	if p.Total.Load() == 0 {
		return nil // built meanwhile by another lab
	}
	r.s.log.Info("built", slog.String("component", r.Name), slog.Duration("took", time.Since(p.Begun)))
	return nil
}

// run starts the process, and restarts it whenever it exits, until ctx ends.
// It returns an error only if the first start fails.
func (r *runner) run(ctx context.Context) error {
	if !wait(ctx, r.built) {
		return nil
	}
	for _, name := range r.Needs {
		if !wait(ctx, r.s.find(name).ready) {
			return nil
		}
	}
	first, backoff := true, minBackoff
	var result chan error // of the client that waits for this start
	report := func(err error) {
		if result != nil {
			result <- err
			result = nil
		}
	}
	for ctx.Err() == nil {
		begun := time.Now()
		var request chan error
		err := r.start()
		if err == nil {
			request, err = r.awaitReady(ctx)
		}
		if err == nil && request == nil {
			pages := r.webPages(ctx)
			r.s.set(func() { r.state, r.detail, r.pages = Ready, "", pages })
			r.s.log.Info("ready", slog.String("component", r.Name), slog.Int("pid", r.id.PID), slog.Duration("after", time.Since(begun)))
			if first {
				first = false
				close(r.ready)
			}
			report(nil)
			if request = r.watch(ctx); request == nil {
				err = fmt.Errorf("it exited (%s)", r.exited())
			}
		}
		if request != nil { // no backoff, and not counted
			report(errors.New("another restart was requested"))
			result = request
			if err = r.end(); err == nil {
				backoff = minBackoff
				continue
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if e := r.end(); e != nil {
			err = errors.Join(err, e)
		}
		failure := &logError{fmt.Errorf("start %s: %w%s", r.Name, err, r.advice(first)), r.logPath(), r.logFrom}
		if first {
			r.set(Failed, err.Error())
			return failure
		}
		if time.Since(begun) > settled {
			backoff = minBackoff
		}
		r.s.set(func() { r.state, r.detail, r.restarts = Restarting, err.Error(), r.restarts+1 })
		r.s.log.Warn("restarting", slog.String("component", r.Name), slog.String("cause", err.Error()), slog.Duration("backoff", backoff))
		report(failure)
		select {
		case <-ctx.Done():
		case result = <-r.restart:
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
	return nil
}

func wait(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitReady returns when the readiness probe succeeds, an error if the process exits
// first or the timeout expires, or, when a client requests a restart, the channel for its result. A component without a probe is ready when it has run for
// a moment (minUptime).
func (r *runner) awaitReady(ctx context.Context) (request chan error, err error) {
	limit := cmp.Or(r.Timeout, readyTimeout)
	if r.Ready == "" {
		limit = minUptime
	}
	timeout := time.After(limit)
	var last error
	for interval := firstProbe; ; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case request := <-r.restart:
			return request, nil
		case <-r.ended:
			return nil, fmt.Errorf("it exited before it was ready (%s)", r.exited())
		case <-timeout:
			if isClosed(r.ended) {
				continue // to that
			} else if r.Ready == "" {
				return nil, nil
			}
			return nil, r.notReady(limit, last)
		case <-time.After(interval):
		}
		if r.Ready == "" {
			continue
		}
		if last = r.probe(ctx); last == nil {
			return nil, nil
		}
		if r.Command != "" {
			interval = min(2*interval, maxInterval)
		}
	}
}

// watch returns nil when the process exits or ctx ends, or, when a client requests
// a restart, the channel for its result. Meanwhile the state
// follows the probe. A process that hangs is shown, not killed: it may be under
// a debugger.
func (r *runner) watch(ctx context.Context) chan error {
	for tick := time.NewTicker(probeEvery); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-r.ended:
			return nil
		case result := <-r.restart:
			return result
		case <-tick.C:
		}
		if r.Ready == "" {
			continue
		}
		err := r.probe(ctx)
		r.s.mu.Lock()
		st := r.state
		r.s.mu.Unlock()
		switch {
		case err != nil && st == Ready && ctx.Err() == nil:
			r.set(Unready, err.Error())
		case err == nil && st == Unready:
			r.set(Ready, "")
		}
	}
}

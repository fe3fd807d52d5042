package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
)

// Times of a component's lifecycle. Tests shorten them.
var (
	readyTimeout = 60 * time.Second // from start to ready
	stopGrace    = 25 * time.Second // from SIGTERM to SIGKILL
	probeEvery   = 2 * time.Second
	minBackoff   = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
	settled      = 30 * time.Second // uptime after which the backoff is reset to minBackoff
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
	ended     chan struct{}   // closed when the process that id names is reaped
	change    plan.Change     // of an exercise
}

func newRunner(s *Supervisor, p plan.Component) *runner {
	return &runner{Component: p, s: s, state: Waiting,
		built: make(chan struct{}), ready: make(chan struct{}),
		turn: make(chan struct{}, 1), restart: make(chan chan error)}
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
		return &logError{err, r.s.build.Log(r.Target)}
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
		err := r.start()
		if err == nil {
			err = r.awaitReady(ctx)
		}
		if err == nil {
			pages := r.webPages(ctx)
			r.s.set(func() { r.state, r.detail, r.pages = Ready, "", pages })
			r.s.log.Info("ready", slog.String("component", r.Name), slog.Int("pid", r.id.PID), slog.Duration("after", time.Since(begun)))
			if first {
				first = false
				close(r.ready)
			}
			report(nil)
			if result = r.watch(ctx); result == nil {
				err = errors.New("it exited")
			} else if err = r.end(); err == nil { // requested: no backoff, and not counted
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
		failure := &logError{fmt.Errorf("start %s: %w", r.Name, err), r.logPath()}
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

// start starts the process and saves its ID at once, so that a
// killed supervisor's processes can be found.
func (r *runner) start() error {
	r.op.Lock()
	defer r.op.Unlock()
	if r.ended != nil && !isClosed(r.ended) {
		return errors.New("its previous process did not exit")
	}
	if r.Setup != nil {
		if err := r.Setup(); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(r.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	path, version, args := r.program()
	r.s.mu.Lock()
	change := r.change
	r.s.mu.Unlock()
	cmd := exec.Command(path, slices.Concat(args, change.Args)...)
	cmd.Dir = r.s.lab.State
	cmd.Env = slices.Concat(r.Env, change.Env) // the last of two counts
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = proc.Group()
	if err := cmd.Start(); err != nil {
		return err
	}
	id, err := proc.Identify(cmd.Process.Pid)
	if err != nil { // exited already; if not, kill it now: without its ID it cannot be stopped
		id = proc.ID{PID: cmd.Process.Pid}
		syscall.Kill(-id.PID, syscall.SIGKILL)
	}
	ended := make(chan struct{})
	r.s.set(func() {
		r.state, r.detail, r.id, r.ended, r.startedAt, r.version = Started, "", id, ended, time.Now(), version
	})
	go func() {
		err := cmd.Wait()
		r.s.log.Info("exited", slog.String("component", r.Name), slog.Int("pid", id.PID), slog.Any("status", cmd.ProcessState.String()), slog.Any("error", err))
		close(ended)
	}()
	return nil
}

// program returns the path of the binary, its version, and its arguments.
func (r *runner) program() (path, version string, args []string) {
	r.s.mu.Lock()
	found := r.found
	r.s.mu.Unlock()
	if found.Path == "" {
		path = r.s.build.Path(r.Target)
		version = build.Version(path, r.Version)
		if r.Program != nil {
			version = r.Program.Product(version)
		}
		return path, version, r.Args
	}
	if r.FoundArgs != nil {
		return found.Path, found.Version, slices.Concat(r.Args, r.FoundArgs(found))
	}
	return found.Path, found.Version, r.Args
}

// awaitReady returns when the readiness probe succeeds, or an error if the process exits
// first or the timeout expires. A component without a probe is ready at once.
func (r *runner) awaitReady(ctx context.Context) error {
	if r.Ready == "" {
		return nil
	}
	limit := cmp.Or(r.Timeout, readyTimeout)
	timeout := time.After(limit)
	for tick := time.NewTicker(25 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.ended:
			return errors.New("it exited before it was ready")
		case <-timeout:
			return fmt.Errorf("%s did not respond with 200 within %s", r.Ready, limit)
		case <-tick.C:
		}
		if probe(ctx, r.Ready) == nil {
			tick.Stop()
			return nil
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
		err := probe(ctx, r.Ready)
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

var prober = &http.Client{
	Timeout:   time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

func probe(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := prober.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responded %s", url, resp.Status)
	}
	return nil
}

// end stops the process and waits until it is reaped.
func (r *runner) end() error {
	r.op.Lock()
	defer r.op.Unlock()
	r.s.mu.Lock()
	id, ended := r.id, r.ended
	r.s.mu.Unlock()
	if ended != nil && !isClosed(ended) {
		if err := id.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-ended:
		case <-time.After(stopGrace):
			r.s.log.Warn("killed", slog.String("component", r.Name), slog.Duration("after", stopGrace))
			if err := id.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
			<-ended
		}
	}
	r.s.set(func() { r.state, r.detail, r.id = Ended, "", proc.ID{} })
	return nil
}

// Package supervisor builds, starts, watches and stops the components of a native
// lab. One supervisor owns a state folder:
//
//	lab.lock    locked while the supervisor runs
//	lab.sock    its control socket: HTTP, see Client
//	state.json  the processes, written at each change: lab down can stop
//	            all of them even if the supervisor was killed
//	up.json     the flags of lab up, for lab up -again
//	logs/       one log per component, per build, and lab.log
//	data/       data of the components
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
)

// MinFree is how many bytes the disk of the state folder must have free.
const MinFree = 256 << 20

// ErrRunning means that another supervisor owns the state folder.
var ErrRunning = errors.New("a lab is already running there")

// Supervisor runs one lab.
type Supervisor struct {
	lab   plan.Lab
	build *build.Builder
	log   *slog.Logger

	stop    context.CancelCauseFunc
	running context.Context // ends when the lab stops

	saving sync.Mutex // held while the state is written
	over   bool       // no more saves; guarded by saving

	mu      sync.Mutex
	phase   Phase
	failure string
	started time.Time
	self    proc.ID
	runners []*runner // in start order
	// The builds of the start.
	jobs        []*job
	buildsBegun time.Time
	exercise    string    // its name; "": none
	exerciseAt  time.Time // when its last component started
	extras      []*runner // components of the exercise

	exercising sync.Mutex // held while an exercise starts or stops
	downloads  sync.WaitGroup
}

var errStopRequested = errors.New("stop requested")

// Run builds and starts programs, which are in start order, and watches
// them until ctx ends or a client requests a stop. Then it stops them. It returns
// ErrRunning, or the reason why the start failed, with no process left
// running.
func Run(ctx context.Context, lab plan.Lab, programs []plan.Component, b *build.Builder, log *slog.Logger) (err error) {
	if err := Prepare(lab); err != nil {
		return err
	}
	lock, err := acquire(lab.State)
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		return err
	}
	if err := lab.Record(); err != nil {
		return err
	}
	s := &Supervisor{lab: lab, build: b, log: log, stop: stop, running: ctx, phase: Starting, started: time.Now(), self: self}
	for _, p := range programs {
		s.runners = append(s.runners, newRunner(s, p))
	}
	// First, so that a client that finds the folder locked gets a response.
	l, err := listen(lab.State)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.control(), ReadHeaderTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	go srv.Serve(l)
	defer func() {
		stop(nil)
		s.downloads.Wait()
		// The last responses, such as the one to the client that requested the stop. A
		// build that a client requested ends, too.
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		srv.Shutdown(drain)
		os.Remove(filepath.Join(lab.State, socketName))
	}()
	if _, err := sweep(lab.State); err != nil {
		return err
	}
	if err := CheckPorts(programs); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	if err = s.obtainAll(ctx); err == nil {
		err = s.run(ctx)
	}
	stop(err)
	if !errors.Is(err, errStopRequested) && !errors.Is(err, context.Canceled) {
		s.log.Error("lab failed", slog.String("error", err.Error()))
		s.set(func() { s.failure = err.Error() })
	} else {
		err = nil
	}
	s.set(func() { s.phase = Stopping })
	s.awaitExtras()
	left, e := s.stopAll()
	if e != nil {
		return errors.Join(err, left, e)
	}
	err = errors.Join(err, left)
	if s.status().Exercise != "" {
		err = errors.Join(err, plan.Exercise{}.End(lab))
	}
	return errors.Join(err, s.forget())
}

// run returns why the lab has to stop.
func (s *Supervisor) run(ctx context.Context) error {
	failed := make(chan error, 2*len(s.runners))
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wg.Go(func() {
		if err := s.buildAll(ctx); err != nil {
			failed <- err
		}
	})
	for _, r := range s.runners {
		wg.Go(func() {
			if err := r.run(ctx); err != nil {
				failed <- err
			}
		})
	}
	wg.Go(func() { s.rotateLogs(ctx) })
	for _, r := range s.runners {
		select {
		case <-r.ready:
		case err := <-failed:
			cancel(err)
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.set(func() { s.phase = Up })
	s.log.Info("lab is up", slog.Duration("after", time.Since(s.started)))
	select {
	case err := <-failed:
		cancel(err)
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopAll stops the components in reverse order, so that
// the telemetry of a component that stops still reaches its backends. left names what they have left running.
func (s *Supervisor) stopAll() (left, err error) {
	for _, r := range slices.Backward(s.all()) {
		s.mu.Lock()
		group := r.id.PID
		s.mu.Unlock()
		if e := r.end(); e != nil {
			err = errors.Join(err, fmt.Errorf("stop %s: %w", r.Name, e))
		}
		left = errors.Join(left, r.left(group))
	}
	return left, err
}

func (s *Supervisor) find(name string) *runner {
	if i := slices.IndexFunc(s.runners, func(r *runner) bool { return r.Name == name }); i >= 0 {
		return s.runners[i]
	}
	return nil
}

// set changes the state and saves it.
func (s *Supervisor) set(change func()) {
	s.mu.Lock()
	change()
	s.mu.Unlock()
	if err := s.save(); err != nil {
		s.log.Error("state not saved", slog.String("error", err.Error()))
	}
}

const maxLog = 64 << 20

// rotateLogs keeps each component's log below 64 MiB, and one older file. The
// components write to their files directly, so that they survive a supervisor
// that is killed. So the file is copied and truncated, not renamed.
func (s *Supervisor) rotateLogs(ctx context.Context) {
	for tick := time.NewTicker(5 * time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range s.all() {
			if err := rotate(r.logPath(), maxLog); err != nil {
				s.log.Warn("log not rotated", slog.String("component", r.Name), slog.String("error", err.Error()))
			}
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Prepare creates the folders, and checks that they are writable and the disk has space.
func Prepare(lab plan.Lab) error {
	for _, dir := range []string{lab.Logs(), filepath.Join(lab.State, "data")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(lab.State, &fs); err != nil {
		return fmt.Errorf("state folder %s: %w", lab.State, err)
	}
	if free := uint64(fs.Bavail) * uint64(fs.Bsize); free < MinFree {
		return fmt.Errorf("state folder %s: %d MiB of disk free, at least %d MiB needed: free some, or set another folder with -state",
			lab.State, free>>20, MinFree>>20)
	}
	return nil
}

package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/proc"
)

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
	from := int64(0)
	if st, err := log.Stat(); err == nil {
		from = st.Size()
	}
	path, version, args := r.program()
	r.s.mu.Lock()
	change := r.change
	r.s.mu.Unlock()
	cmd := exec.Command(path, slices.Concat(args, change.Args)...)
	cmd.Dir = cmp.Or(r.Dir, r.s.lab.State)
	cmd.Env = slices.Concat(r.Env, change.Env) // the last of two counts
	if r.ProcessEnv != nil {
		cmd.Env = append(cmd.Env, r.ProcessEnv()...)
	}
	if r.Command != "" {
		cmd.Env = append(cmd.Env, r.mark())
	}
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
		r.exit, r.termed, r.logFrom = "", time.Time{}, from
	})
	go func() {
		err := cmd.Wait()
		r.s.log.Info("exited", slog.String("component", r.Name), slog.Int("pid", id.PID), slog.Any("status", cmd.ProcessState.String()), slog.Any("error", err))
		r.s.mu.Lock()
		r.exit = cmd.ProcessState.String()
		termed, grace := r.termed, r.grace()
		r.s.mu.Unlock()
		if !termed.IsZero() { // one grace for leader and group
			grace -= time.Since(termed)
		}
		// What it started in its group, such as the program of go run, must not keep its ports.
		killed, err := proc.EndGroup(id.PID, termed.IsZero(), grace)
		if killed || err != nil {
			r.s.log.Warn("its group killed", slog.String("component", r.Name), slog.Int("pid", id.PID), slog.Any("error", err))
		}
		close(ended)
	}()
	return nil
}

// program returns the path of the binary, its version, and its arguments.
func (r *runner) program() (path, version string, args []string) {
	r.s.mu.Lock()
	found := r.found
	r.s.mu.Unlock()
	if r.Command != "" {
		return "/bin/sh", "", []string{"-c", r.Command}
	}
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

// exited returns how the process exited.
func (r *runner) exited() string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.exit
}

// end stops the process and waits until it is reaped.
func (r *runner) end() error {
	r.op.Lock()
	defer r.op.Unlock()
	r.s.mu.Lock()
	id, ended := r.id, r.ended
	r.s.mu.Unlock()
	if ended != nil && !isClosed(ended) {
		r.s.mu.Lock() // until termed is right: what a leader that has just exited left behind gets no signal here
		err := id.Signal(syscall.SIGTERM)
		if err == nil {
			r.termed = time.Now()
		}
		r.s.mu.Unlock()
		if errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("pid %d belongs to another user: sudo kill %d", id.PID, id.PID)
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-ended:
		case <-time.After(r.grace()):
			r.s.log.Warn("killed", slog.String("component", r.Name), slog.Duration("after", r.grace()))
			if err := id.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
			<-ended
		}
	}
	r.s.set(func() { r.state, r.detail, r.id = Ended, "", proc.ID{} })
	return nil
}

// grace is the time from SIGTERM to SIGKILL.
func (r *runner) grace() time.Duration { return Grace(r.Command != "") }

// Grace is how long a component has from SIGTERM to SIGKILL: a program of the user, or one of the lab's own.
func Grace(command bool) time.Duration {
	if command {
		return commandGrace
	}
	return stopGrace
}

// mark is a variable in the environment of a program of the user and of what it starts.
func (r *runner) mark() string { return "SOUNDCHECK_LAB_PROCESS=" + r.s.lab.State + " " + r.Name }

// left returns an error that names what a program of the user has left running. Processes that leave their group on purpose,
// such as daemons that others use, too, are not stopped.
func (r *runner) left(group int) error {
	if r.Command == "" {
		return nil
	}
	list := proc.Left(group, r.mark())
	for until := time.Now().Add(time.Second); list != nil && time.Now().Before(until); list = proc.Left(group, r.mark()) {
		time.Sleep(50 * time.Millisecond) // they may end with their parent
	}
	if list == nil {
		return nil
	}
	return fmt.Errorf("%s left processes running, outside its process group or of another user: %s; stop them with kill or sudo kill", r.Name, strings.Join(list, ", "))
}

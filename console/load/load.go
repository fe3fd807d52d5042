// Package load runs load tests for the console's pages: it builds loadgen, starts it, follows it and stops
// it. There is one run at a time.
//
// Loadgen is a process of its own. If the console is killed, the run continues: its ID is in the state
// folder, and the next console takes it over. If the console stops as it should, it interrupts the run and
// waits for the report.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
	"soundcheck/loadgen/report"
)

// State is what the Runner does.
type State string

// States of a Runner.
const (
	Idle     State = "idle"     // no run yet
	Building State = "building" // loadgen
	Starting State = "starting" // loadgen checks its flags and its target
	Running  State = "running"
	Stopping State = "stopping" // interrupted, it writes its report
	Ended    State = "ended"
)

// Status describes the current run, or the last one.
type Status struct {
	State   State     `json:"state"`
	Command string    `json:"command,omitempty"`
	Started time.Time `json:"started_at,omitzero"`
	// Packages of loadgen that were built; Packages is 0 until it is known.
	Built    int64 `json:"packages_built,omitempty"`
	Packages int64 `json:"packages,omitempty"`
	// Run is the id of the run. Loadgen has created its folder.
	Run string `json:"run,omitempty"`
	// Error is why there is no report, mostly in loadgen's words, and Flag is the flag that it is about.
	Error string `json:"error,omitempty"`
	Flag  string `json:"flag,omitempty"`
	// Stuck means that it was interrupted, and has not ended in time: Stop kills it.
	Stuck bool `json:"stuck,omitempty"`
}

// Errors of Start and Stop.
var (
	ErrBusy = errors.New("a load test is running: wait for its end, or stop it")
	ErrIdle = errors.New("no load test is running")
	ErrDown = errors.New("the lab is down: start it with make lab-up")
)

// saved is the run in the state folder.
type saved struct {
	Process proc.ID   `json:"process"`
	Command string    `json:"command"`
	Started time.Time `json:"started_at"`
	Stopped time.Time `json:"stopped_at,omitzero"` // when it was interrupted
	Console proc.ID   `json:"console"`             // that runs it
}

// Runner runs load tests on the lab of a state folder.
type Runner struct {
	state string

	mu       sync.Mutex
	status   Status
	progress *build.Progress    // while it builds
	cancel   context.CancelFunc // ends the build
	saved    saved
	done     chan struct{} // closed when the current run has ended; nil: there was none
}

// New returns a Runner. It takes over the run of a console that is gone.
func New(state string) *Runner {
	r := &Runner{state: state, status: Status{State: Idle}}
	b, err := os.ReadFile(r.file("run.json"))
	var run saved
	if err != nil || json.Unmarshal(b, &run) != nil || run.Console.PID != os.Getpid() && run.Console.Alive() {
		return r
	}
	r.saved = run
	r.saved.Console = self()
	_ = r.save() // if it fails, two consoles can stop the run
	r.status = Status{State: Starting, Command: r.saved.Command, Started: r.saved.Started}
	if !r.saved.Stopped.IsZero() {
		r.status.State = Stopping
	}
	r.done = make(chan struct{})
	go func() {
		for r.saved.Process.Alive() {
			r.find()
			time.Sleep(pollInterval)
		}
		r.ended("")
	}()
	return r
}

// self is the ID of this process.
func self() proc.ID {
	id, err := proc.Identify(os.Getpid())
	if err != nil {
		return proc.ID{}
	}
	return id
}

// pollInterval is how often the run is looked for.
const pollInterval = 200 * time.Millisecond

func (r *Runner) file(name string) string { return filepath.Join(r.state, "load", name) }

// Status returns the current status.
func (r *Runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.status
	st.Stuck = r.stuck()
	if r.progress != nil {
		st.Built, st.Packages = r.progress.Done.Load(), r.progress.Total.Load()
	}
	return st
}

// Command returns the command for values, as it is for a shell.
func (r *Runner) Command(ctx context.Context, values Values) (string, error) {
	st, err := r.lab(ctx)
	if err != nil {
		return "", err
	}
	c, err := commandFor(st, values)
	return c.String(), err
}

// lab returns the status of the lab, which must run.
func (r *Runner) lab(ctx context.Context) (supervisor.Status, error) {
	if running, err := supervisor.Running(r.state); err != nil || !running {
		return supervisor.Status{}, errors.Join(ErrDown, err)
	}
	st, err := supervisor.NewClient(r.state).Status(ctx)
	if err != nil {
		return st, fmt.Errorf("the supervisor of the lab is unavailable: %w", err)
	}
	return st, nil
}

// Start starts a run, and returns once it is being built or started.
func (r *Runner) Start(ctx context.Context, values Values) error {
	st, err := r.lab(ctx)
	if err != nil {
		return err
	}
	c, err := commandFor(st, values)
	if err == nil {
		err = checkTexts(values)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy() {
		return ErrBusy
	}
	if err := os.MkdirAll(r.file(""), 0o755); err != nil {
		return err
	}
	if err := r.writeTexts(values); err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.Background())
	r.status = Status{State: Building, Command: c.String(), Started: time.Now()}
	r.progress, r.cancel, r.done = &build.Progress{Begun: time.Now()}, cancel, make(chan struct{})
	go r.run(running, st, c)
	return nil
}

// busy reports whether a run is in progress, also of another console. The caller holds mu.
func (r *Runner) busy() bool {
	if r.status.State != Idle && r.status.State != Ended {
		return true
	}
	var other saved
	b, err := os.ReadFile(r.file("run.json"))
	return err == nil && json.Unmarshal(b, &other) == nil && other.Process.Alive()
}

// run builds loadgen and runs it to its end.
func (r *Runner) run(ctx context.Context, st supervisor.Status, c command) {
	b := &build.Builder{Root: st.Root, Bin: st.Bin, Logs: filepath.Join(r.state, "logs")}
	target := plan.ClientTarget("loadgen")
	if err := b.Build(ctx, target, r.progress); err != nil {
		if ctx.Err() != nil {
			err = errors.New("stopped before the first request")
		} else {
			err = fmt.Errorf("%w; see %s", err, b.Log(target))
		}
		r.fail(err)
		return
	}
	cmd, err := r.start(ctx, b.Path(target), st, c)
	if err != nil {
		r.fail(err)
		return
	}
	gone := make(chan string, 1)
	go func() {
		_ = cmd.Wait() // its report, or its stderr, says how it ended
		gone <- killedBy(cmd.ProcessState)
	}()
	for {
		r.find()
		select {
		case signal := <-gone:
			r.ended(signal)
			return
		case <-time.After(pollInterval):
		}
	}
}

// start starts loadgen in a process group of its own.
func (r *Runner) start(ctx context.Context, path string, st supervisor.Status, c command) (*exec.Cmd, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = nil
	if ctx.Err() != nil {
		return nil, errors.New("stopped before the first request")
	}
	cmd := exec.Command(path, c.args...)
	cmd.Dir, cmd.SysProcAttr = st.Root, proc.Group()
	for _, kv := range os.Environ() { // the command line is all that counts
		if !strings.HasPrefix(kv, "SOUNDCHECK_") && !strings.HasPrefix(kv, "OTEL_EXPORTER_OTLP_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, c.env...)
	stdout, err := os.Create(r.file("stdout")) // files, so that the run survives the console
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.Create(r.file("stderr"))
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	id, err := proc.Identify(cmd.Process.Pid)
	if err != nil { // it has ended already
		id = proc.ID{PID: cmd.Process.Pid}
	}
	r.status.State = Starting
	r.saved = saved{Process: id, Command: r.status.Command, Started: r.status.Started, Console: self()}
	if err := r.save(); err != nil { // a next console would not find it
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, nil
}

// save writes run.json. The caller holds mu.
func (r *Runner) save() error {
	b, err := json.Marshal(r.saved)
	if err == nil {
		err = os.WriteFile(r.file("run.json.part"), b, 0o644)
	}
	if err == nil {
		err = os.Rename(r.file("run.json.part"), r.file("run.json"))
	}
	return err
}

// find looks for the folder of the run: its progress has the process.
func (r *Runner) find() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.Run != "" {
		return
	}
	entries, _ := os.ReadDir(filepath.Join(r.state, "runs"))
	for _, e := range slices.Backward(entries[max(len(entries)-newest, 0):]) {
		first, _, _, err := report.ReadProgress(filepath.Join(r.state, "runs", e.Name()))
		if err == nil && first.PID == r.saved.Process.PID && !first.At.Before(r.saved.Started) {
			if r.status.Run = e.Name(); r.status.State == Starting {
				r.status.State = Running
			}
			return
		}
	}
}

// newest is how many folders are searched for a run.
const newest = 10

// runLine is the line of a text report with the run's id.
var runLine = regexp.MustCompile(`(?m)^run +(\d{8}T\d{6}Z-[0-9a-f]{4})$`)

// ended sets the status after the process has gone. The signal is the one that killed it; "": none, or it is unknown.
func (r *Runner) ended(signal string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, err := os.ReadFile(r.file("stdout")); err == nil && r.status.Run == "" { // too short to be found
		if m := runLine.FindSubmatch(b); m != nil {
			r.status.Run = string(m[1])
		}
	}
	_, err := os.Stat(filepath.Join(r.state, "runs", r.status.Run, "report.json"))
	if r.status.Run == "" || errors.Is(err, fs.ErrNotExist) {
		b, _ := os.ReadFile(r.file("stderr"))
		r.status.Run = ""
		r.status.Error, r.status.Flag = message(b, signal)
	}
	r.status.State = Ended
	_ = os.Remove(r.file("run.json"))
	close(r.done)
}

// fail ends a run that did not start.
func (r *Runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = nil
	r.status.State, r.status.Error = Ended, err.Error()
	close(r.done)
}

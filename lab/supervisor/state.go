package supervisor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/probe"
	"soundcheck/lab/proc"
)

// Names in the state folder.
const (
	lockName   = "lab.lock"
	socketName = "lab.sock"
	stateName  = "state.json"
)

// ErrName is the log file with the error that ended a supervisor in the background.
const ErrName = "lab.err"

// Phase is the state of the lab as a whole.
type Phase string

// Phases of a lab.
const (
	Starting Phase = "starting"
	Up       Phase = "up"
	Stopping Phase = "stopping"
)

// State is the state of one component.
type State string

// States of a component.
const (
	Waiting     State = "waiting"     // for its build, or for a component that it needs
	Building    State = "building"    //
	Downloading State = "downloading" //
	Started     State = "starting"    // runs, not ready yet
	Ready       State = "ready"       //
	Unready     State = "unready"     // runs, was ready, its probe fails
	Restarting  State = "restarting"  // exited, waits for the backoff
	Failed      State = "failed"      // could not be built or started
	Ended       State = "stopped"
)

// Values of ComponentStatus.From.
const (
	FromBuild   = "built"
	FromRelease = "release"
	FromCommand = "-with"
)

// Status is a snapshot of a lab. Times are RFC 3339, sizes bytes.
type Status struct {
	Phase        Phase          `json:"phase"`
	Failure      string         `json:"failure,omitempty"` // why it is stopping
	State        string         `json:"state"`             // folder
	Root         string         `json:"root"`              // folder of the repository
	Bin          string         `json:"bin"`               // folder of the binaries
	PortOffset   int            `json:"port_offset"`
	Database     string         `json:"database,omitempty"`      // of the lab's album store
	Stores       []string       `json:"stores,omitempty"`        // URLs of external album stores
	UserServices []plan.Service `json:"user_services,omitempty"` // programs of the user
	// OTLPEverywhere means that the Collector listens on all addresses.
	OTLPEverywhere bool `json:"otlp_everywhere,omitempty"`
	// From is where the backends are from.
	From       plan.From         `json:"from,omitempty"`
	Supervisor proc.ID           `json:"supervisor"`
	StartedAt  time.Time         `json:"started_at"`
	Exercise   string            `json:"exercise,omitempty"`            // that is active
	ExerciseAt time.Time         `json:"exercise_at,omitzero"`          // when its load began; zero: not yet
	Memory     int64             `json:"memory_bytes"`                  // resident, of all components and the supervisor
	BuildsLeft float64           `json:"builds_left_seconds,omitempty"` // estimated time until all is built
	Components []ComponentStatus `json:"programs"`
}

// ComponentStatus is a snapshot of one component. Since is when the process, or
// the build, started.
type ComponentStatus struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Detail  string `json:"detail,omitempty"`
	Address string `json:"address"`
	Version string `json:"version,omitempty"` // of the process, or of the program that it will be
	// From is FromBuild, FromRelease, FromCommand, or, of an installed program, PATH or the environment
	// variable that names it. Path is that of a program that was not built; Reason is why
	// another one is not used.
	From     string    `json:"from,omitempty"`
	Path     string    `json:"path,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Pages    string    `json:"pages,omitempty"` // URL of its own web pages
	Process  proc.ID   `json:"process,omitzero"`
	Since    time.Time `json:"since,omitzero"`
	Restarts int       `json:"restarts"` // after it exited, not on request
	Memory   int64     `json:"memory_bytes,omitempty"`
	Done     int64     `json:"packages_built,omitempty"`
	Total    int64     `json:"packages,omitempty"`
	// Of a download.
	Received int64   `json:"received_bytes,omitempty"`
	Size     int64   `json:"archive_bytes,omitempty"`
	Build    proc.ID `json:"build_process,omitzero"`
	Log      string  `json:"log"`
}

// Status returns the current status.
func (s *Supervisor) Status() Status {
	st := s.status()
	st.Memory = s.self.RSS()
	for i := range st.Components {
		if p := &st.Components[i]; p.Process.PID != 0 {
			p.Memory = p.Process.RSS()
			if p.From == FromCommand { // the process is a shell, or go run
				p.Memory = p.Process.GroupRSS()
			}
			st.Memory += p.Memory
		}
	}
	return st
}

// status is Status without memory: measuring it is slow on macOS.
func (s *Supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Phase: s.phase, Failure: s.failure, State: s.lab.State, Root: s.lab.Root, Bin: s.build.Bin, PortOffset: s.lab.Offset, Database: s.lab.Database(),
		Stores: s.lab.Stores, UserServices: s.lab.UserServices, OTLPEverywhere: s.lab.OTLPEverywhere, From: s.lab.From, Supervisor: s.self, StartedAt: s.started, Exercise: s.exercise, ExerciseAt: s.exerciseAt,
		BuildsLeft: s.left().Seconds()}
	for _, r := range slices.Concat(s.runners, s.extras) {
		p := ComponentStatus{Name: r.Name, State: r.state, Detail: r.detail, Address: r.Address, Version: cmp.Or(r.version, r.found.Version), From: r.from,
			Path: r.found.Path, Reason: r.reason, Pages: r.pages, Process: r.id,
			Since: r.startedAt, Restarts: r.restarts, Build: r.builder, Log: r.logPath()}
		if r.progress != nil {
			p.State, p.Since = Building, r.progress.Begun
			p.Done, p.Total = r.progress.Done.Load(), r.progress.Total.Load()
		}
		if d := r.download; d != nil && !isClosed(d.ended) && p.Path == "" && r.state == Waiting {
			if p.Received = d.done.Load(); p.Received > 0 {
				p.State, p.Version, p.Size = Downloading, d.Version, d.total.Load()
			}
		}
		st.Components = append(st.Components, p)
	}
	return st
}

// save writes the status to its file atomically.
func (s *Supervisor) save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if s.over {
		return nil
	}
	b, err := json.MarshalIndent(s.status(), "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.lab.State, stateName)
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// forget removes the status file; save does nothing afterwards.
func (s *Supervisor) forget() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.over = true
	return os.Remove(filepath.Join(s.lab.State, stateName))
}

// Saved reads the status that the last supervisor saved, or nil.
func Saved(state string) (*Status, error) {
	b, err := os.ReadFile(filepath.Join(state, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(bytes.Trim(b, "\x00 \n")) == 0 {
		return nil, nil // a power failure before the file was synced ended the processes, too
	}
	st := new(Status)
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("read the lab's process list %s: %w; stop the lab's processes, then delete the file",
			filepath.Join(state, stateName), err)
	}
	return st, nil
}

// Leftover returns the exercise that was active when the supervisor was killed; "": none.
func Leftover(state string) (string, error) {
	st, err := Saved(state)
	if err != nil || st == nil {
		return "", err
	}
	return st.Exercise, nil
}

// Sweep stops processes that a killed supervisor has left running, and reports
// whether it had left a status. It returns ErrRunning if a supervisor runs.
func Sweep(state string) (left bool, err error) {
	if st, err := Saved(state); err != nil || st == nil {
		return false, err
	}
	lock, err := acquire(state) // no other supervisor can start meanwhile
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if left, err = sweep(state); err == nil {
		os.Remove(filepath.Join(state, socketName))
	}
	return left, err
}

// Clear calls f after Sweep, while no supervisor can start. It returns ErrRunning if
// one runs.
func Clear(l plan.Lab, f func() error) error {
	if err := Prepare(l); err != nil {
		return err
	}
	lock, err := acquire(l.State)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := sweep(l.State); err != nil {
		return err
	}
	return f()
}

// sweep is Sweep for the owner of the lock. It does not touch processes that only share
// a PID with one of the lab's.
func sweep(state string) (left bool, err error) {
	st, err := Saved(state)
	if err != nil || st == nil {
		return false, err
	}
	var errs []error
	for _, p := range slices.Backward(st.Components) {
		for _, id := range []proc.ID{p.Build, p.Process} {
			if err := id.End(Grace(p.From == FromCommand)); err != nil {
				errs = append(errs, fmt.Errorf("stop %s (pid %d): %w", p.Name, id.PID, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return true, err
	}
	os.Remove(filepath.Join(state, stateName+".new")) // if the supervisor was killed while it wrote
	return true, os.Remove(filepath.Join(state, stateName))
}

// Running reports whether a supervisor owns the state folder.
func Running(state string) (bool, error) {
	// Shared: two callers do not mistake each other for a supervisor.
	f, err := proc.TryLock(filepath.Join(state, lockName), os.O_RDONLY, syscall.LOCK_SH)
	switch {
	case errors.Is(err, proc.ErrLocked):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return false, f.Close()
}

// acquire takes the state folder's lock.
func acquire(state string) (f *os.File, err error) {
	// Retry: Running takes the lock for a moment, too.
	for range 20 {
		if f, err = proc.TryLock(filepath.Join(state, lockName), os.O_CREATE|os.O_RDWR, syscall.LOCK_EX); !errors.Is(err, proc.ErrLocked) {
			return f, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, ErrRunning
}

// CheckPorts returns an error that names every port in use,
// and the component that needs it.
func CheckPorts(programs []plan.Component) error {
	var taken []string
	remedy := "move all ports of the lab, as in -port-offset 100"
	for _, p := range programs {
		for _, port := range p.Ports {
			if !probe.Free(port.Number) {
				if p.Command != "" {
					remedy = "let your program listen elsewhere (-with and -with-url)"
				}
				taken = append(taken, fmt.Sprintf("port %d is in use, %s needs it (%s)", port.Number, p.Name, port.Use))
			}
		}
	}
	if taken == nil {
		return nil
	}
	return fmt.Errorf("%s\nstop the process that listens there, or %s", strings.Join(taken, "\n"), remedy)
}

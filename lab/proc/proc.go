// Package proc identifies processes across PID reuse,
// measures their memory, and stops them.
package proc

import (
	"os"
	"strconv"
	"syscall"
)

// ID identifies one process: PIDs are reused, PIDs with start times are
// not.
type ID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // opaque: boot and start time
}

// Identify returns the ID of the running process pid.
func Identify(pid int) (ID, error) {
	start, err := startOf(pid)
	return ID{pid, start}, err
}

// Alive reports whether the process with this PID and start time still runs.
func (id ID) Alive() bool {
	if id.PID <= 1 { // kill(2) takes 0 and -1 for many processes
		return false
	}
	start, err := startOf(id.PID)
	return err == nil && start == id.Start
}

// Group is the attribute that makes a command the leader of a process group of
// its own, so that Signal reaches what it starts and Ctrl-C does not reach it.
func Group() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// Session is the attribute that detaches a command from the terminal.
func Session() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// SealFiles closes inherited files, other than the standard three, on exec
// of child processes.
func SealFiles() {
	fds, _ := os.ReadDir("/dev/fd")
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// Signal sends sig to the group that id leads, if it is alive.
func (id ID) Signal(sig syscall.Signal) error {
	if !id.Alive() {
		return os.ErrProcessDone
	}
	err := syscall.Kill(-id.PID, sig)
	// macOS returns EPERM if only a zombie is left of the group.
	if err != nil && !id.Alive() {
		return os.ErrProcessDone
	}
	return err
}

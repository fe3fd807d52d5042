package proc

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// killWait is how long the kernel may take to end processes after SIGKILL.
const killWait = 5 * time.Second

// poll is how often a wait for the end of processes looks.
const poll = 10 * time.Millisecond

// GroupAlive reports whether a process of the group runs. Its leader may have exited: as long as the
// group has members, its number is no new process's PID.
func GroupAlive(group int) bool {
	if group <= 1 || syscall.Kill(-group, 0) != nil { // EPERM: on macOS only zombies, on Linux processes of others
		return false
	}
	return members(group)
}

// EndGroup ends what a leader that was reaped has left in its group: with SIGKILL after grace. With
// term, SIGTERM first; without, the members got it already: a second one makes many programs exit at
// once, without what they still had to send. It reports whether SIGKILL was needed.
func EndGroup(group int, term bool, grace time.Duration) (killed bool, err error) {
	if !GroupAlive(group) {
		return false, nil
	}
	if term {
		syscall.Kill(-group, syscall.SIGTERM)
	}
	if waitGroup(group, grace) {
		return false, nil
	}
	syscall.Kill(-group, syscall.SIGKILL)
	if !waitGroup(group, killWait) {
		return true, errors.New("still alive after SIGKILL")
	}
	return true, nil
}

// waitGroup reports whether all of the group exits in time.
func waitGroup(group int, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(poll) {
		if !GroupAlive(group) {
			return true
		}
	}
	return false
}

// End sends SIGTERM to the group that id leads, and SIGKILL after grace. It returns nil once all of the
// group is gone.
func (id ID) End(grace time.Duration) error {
	if err := id.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return err
	}
	gone := func(limit time.Duration) bool {
		for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(poll) {
			if !id.Alive() && !GroupAlive(id.PID) {
				return true
			}
		}
		return false
	}
	if gone(grace) {
		return nil
	}
	if err := syscall.Kill(-id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) && id.Alive() {
		return err
	}
	if gone(killWait) {
		return nil
	}
	return errors.New("still alive after SIGKILL")
}

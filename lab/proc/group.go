package proc

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// killWait is how long the kernel may take to end processes after SIGKILL. One that is swapped out, or waits for a slow
// disk, takes long.
const killWait = 30 * time.Second

// wait reports whether done is true in time. It looks less often the longer it takes: a look reads the state of
// each process of the machine.
func wait(limit time.Duration, done func() bool) bool {
	for deadline, pause := time.Now().Add(limit), 10*time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 160*time.Millisecond) {
		if done() {
			return true
		}
		time.Sleep(pause)
	}
	return done()
}

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
	gone := func() bool { return !GroupAlive(group) }
	if wait(grace, gone) {
		return false, nil
	}
	syscall.Kill(-group, syscall.SIGKILL)
	if !wait(killWait, gone) {
		return true, errors.New("still alive after SIGKILL")
	}
	return true, nil
}

// End sends SIGTERM to the group that id leads, and SIGKILL after grace. It returns nil once all of the
// group is gone.
func (id ID) End(grace time.Duration) error {
	if err := id.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return err
	}
	gone := func() bool { return !id.Alive() && !GroupAlive(id.PID) }
	if wait(grace, gone) {
		return nil
	}
	if err := syscall.Kill(-id.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) && id.Alive() {
		return err
	}
	if wait(killWait, gone) {
		return nil
	}
	return errors.New("still alive after SIGKILL")
}

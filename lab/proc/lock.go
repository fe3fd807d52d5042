package proc

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrLocked means that another process has a lock.
var ErrLocked = errors.New("locked by another process")

// TryLock opens the file at path with an open(2) flag and takes its lock: how is
// syscall.LOCK_SH or LOCK_EX. The kernel releases it when the file is closed or the process
// ends, however it ends.
func TryLock(path string, flag, how int) (*os.File, error) {
	f, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrLocked
	case err == nil:
		return f, nil
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
}

package proc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A lock excludes others until its file is closed; shared ones go together.
func TestTryLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if _, err := TryLock(path, os.O_RDONLY, syscall.LOCK_SH); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v, want that it does not exist", err)
	}
	f, err := TryLock(path, os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []int{syscall.LOCK_EX, syscall.LOCK_SH} {
		if _, err := TryLock(path, os.O_RDONLY, how); !errors.Is(err, ErrLocked) {
			t.Errorf("while it is locked: %v, want %v", err, ErrLocked)
		}
	}
	f.Close()
	for range 2 {
		f, err := TryLock(path, os.O_RDONLY, syscall.LOCK_SH)
		if err != nil {
			t.Fatalf("shared: %v", err)
		}
		defer f.Close()
	}
}

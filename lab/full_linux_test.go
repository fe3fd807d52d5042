package main

import (
	"strings"
	"syscall"
	"testing"
)

// A full disk is reported before any component starts.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	for _, args := range [][]string{{"up", "-state", dir}, {"up", "-foreground", "-state", dir}} {
		_, stderr, code := lab(t.Context(), args...)
		if code != 1 || !strings.Contains(stderr, dir) || !strings.Contains(stderr, "MiB of disk free") {
			t.Errorf("lab %q: code %d, stderr %q; want 1, the folder and the free space", args, code, stderr)
		}
	}
}

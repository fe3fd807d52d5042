package obtain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	VersionTimeout = 5 * time.Minute // on a busy machine
	os.Exit(m.Run())
}

// A program that does not end is killed with what it started.
func TestHangs(t *testing.T) { // not parallel: VersionTimeout
	defer func(d time.Duration) { VersionTimeout = d }(VersionTimeout)
	VersionTimeout = 200 * time.Millisecond
	dir := t.TempDir()
	path := executableFile(t, filepath.Join(dir, "jaeger"), fmt.Sprintf("#!/bin/sh\nsleep 1000 &\necho $! >%s\nsleep 1000\n", filepath.Join(dir, "pid")))
	_, reason, err := Jaeger.Find(t.Context(), env("PATH", dir), "")
	if err != nil || reason != path+" on PATH does not fit: jaeger version: timeout after 200ms" {
		t.Errorf("reason %q, error %v", reason, err)
	}
	wantGone(t, filepath.Join(dir, "pid"))
	VersionTimeout = time.Minute
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopped")
	cancel(why)
	if _, _, err := Jaeger.Find(ctx, env("PATH", dir), ""); !errors.Is(err, why) {
		t.Errorf("cancelled: %v, want %v", err, why)
	}
}

// A program is busy while its file is open for writing.
func TestBusy(t *testing.T) { // not parallel: busyRetries
	if runtime.GOOS != "linux" {
		t.Skip("only Linux rejects a script that is busy")
	}
	dir := t.TempDir()
	path := script(t, filepath.Join(dir, "jaeger"), `{"gitVersion":"v2.17.0"}`)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	limit := busyRetries
	defer func() { busyRetries = limit }()
	busyRetries = 5
	_, reason, err := Jaeger.Find(t.Context(), env("PATH", dir), "")
	if err != nil || reason != path+" on PATH does not fit: jaeger version: text file busy" {
		t.Errorf("reason %q, error %v", reason, err)
	}
	busyRetries = 1 << 20
	time.AfterFunc(100*time.Millisecond, func() { file.Close() })
	if f, reason, err := Jaeger.Find(t.Context(), env("PATH", dir), ""); err != nil || f.Path != path {
		t.Errorf("%+v, reason %q, error %v", f, reason, err)
	}
}

// wantGone waits until the process whose number is in the file is gone.
func wantGone(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		return // killed before it started one
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return
	}
	state := regexp.MustCompile(`(?m)^State:\s+Z`)
	for deadline := time.Now().Add(5 * time.Minute); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil && state.Match(b) {
			return // dead, and nobody waits for it
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

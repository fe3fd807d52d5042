package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A process whose main thread has ended is gone only with its last thread: until then it listens on its ports.
func TestLastThread(t *testing.T) {
	t.Parallel()
	stat := func(state string, threads int) []byte {
		return fmt.Appendf(nil, "42 (a (b) c) %s 1 42 42 0 -1 4194304 %s%d 0 777 1 2 3\n", state, strings.Repeat("0 ", 10), threads)
	}
	for _, tt := range []struct {
		state   string
		threads int
		gone    bool
	}{{"S", 1, false}, {"Z", 3, false}, {"Z", 1, true}, {"Z", 0, true}, {"X", 1, true}} {
		start, err := startIn(42, stat(tt.state, tt.threads))
		if gone := errors.Is(err, os.ErrProcessDone); gone != tt.gone || !gone && start != bootID()+"/777" {
			t.Errorf("state %s, %d threads: %q, %v", tt.state, tt.threads, start, err)
		}
	}
}

// What a program that has not started left running are processes with its variable, not the kernel's threads, whose group is 0.
func TestLeftWithoutGroup(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "600")
	cmd.Env = []string{"LEFT=" + t.TempDir()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	want := fmt.Sprintf("sleep (pid %d)", cmd.Process.Pid)
	if got := Left(0, cmd.Env[0]); len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Python's main thread ends here, and the other one goes on.
func TestMainThreadEnds(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	cmd := exec.Command(python, "-c", `import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
ctypes.CDLL(None).pthread_exit(None)`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id.PID))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the main thread does not end: %s", b)
		}
	}
	if !id.Alive() {
		t.Error("a process with a thread is gone")
	}
}

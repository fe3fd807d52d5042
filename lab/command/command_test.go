package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script runs a script of sh in a folder.
func script(dir, text string) func(context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "sh", "-c", text)
		cmd.Dir = dir
		return cmd
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ script, stdout, stderr, err string }{
		"well":           {"echo a; echo b >&2", "a\n", "b", ""},
		"fails":          {"echo a; echo no such service >&2; exit 16", "", "no such service", "exit status 16"},
		"killed":         {"kill -KILL $$", "", "", "signal: killed"},
		"says very much": {"i=0; while [ $i -lt 2000 ]; do echo warning $i; i=$((i+1)); done >&2; echo no such service >&2; exit 3", "", "no such service", "exit status 3"},
		"endless":        {"exec yes no", "", "", "more than 1 MiB of output"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := Output(t.Context(), Limits{10 * time.Minute, 1 << 20}, script(t.TempDir(), tt.script))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if string(stdout) != tt.stdout || !strings.HasSuffix(stderr, tt.stderr) || len(stderr) > 500 || text != tt.err {
				t.Errorf("%q, %.600q, %q, want %q, %q, %q", stdout, stderr, text, tt.stdout, tt.stderr, tt.err)
			}
		})
	}
	if _, _, err := Output(t.Context(), Default, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "/nonexistent/docker") }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the program: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Output(ctx, Default, script(t.TempDir(), "sleep 60")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// hangs starts a process that holds the output open for ten minutes, or until the test ends.
const hangs = `{ i=0; until [ -e over ] || [ $i = 6000 ]; do sleep 0.1; i=$((i+1)); done; : >ended; } &
: >begun; wait`

// A command that hangs times out, even if its child process does not exit.
func TestTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there := func(name string) bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }
	for limit := 200 * time.Millisecond; !there("begun"); limit *= 2 { // longer if it did not come so far
		_, _, err := Output(t.Context(), Limits{limit, 1 << 20}, script(dir, hangs))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "no response within ") {
			t.Fatalf("it hangs: %v", err)
		}
	}
	if there("ended") {
		t.Error("its child process was waited for")
	}
	if err := os.WriteFile(filepath.Join(dir, "over"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); !there("ended") && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

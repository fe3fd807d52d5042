package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/proc"
)

// An interrupt ends what -load runs, with the processes that its shell starts.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	var sleep proc.ID
	identified := make(chan error, 1)
	go func() {
		defer cancel()
		for t.Context().Err() == nil {
			b, _ := os.ReadFile(file)
			if line, complete := strings.CutSuffix(string(b), "\n"); complete {
				pid, err := strconv.Atoi(line)
				if err == nil {
					sleep, err = proc.Identify(pid)
				}
				identified <- err
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	// The pipe keeps the shell from replacing itself with sleep.
	out, err := loadCommand(ctx, fmt.Sprintf("sh -c 'echo $$ >%s; exec sleep 3600' | cat", file)).CombinedOutput()
	if err == nil || ctx.Err() == nil {
		t.Fatalf("not interrupted: %v, %s", err, out)
	}
	if err := <-identified; err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); sleep.Alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(sleep.PID, syscall.SIGKILL)
			t.Fatal("sleep still runs")
		}
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/proc"
)

// An interrupt ends what -load runs, with the processes that its shell starts.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	var pid int
	started := make(chan struct{})
	go func() {
		defer close(started)
		for t.Context().Err() == nil {
			b, _ := os.ReadFile(file)
			if line, whole := strings.CutSuffix(string(b), "\n"); whole {
				pid, _ = strconv.Atoi(line)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	// The pipe keeps the shell from replacing itself with sleep.
	out, err := loadCommand(ctx, fmt.Sprintf("sh -c 'echo $$ >%s; exec sleep 3600' | cat", file)).CombinedOutput()
	if err == nil || ctx.Err() == nil {
		t.Fatalf("not interrupted: %v, %s", err, out)
	}
	if <-started; pid == 0 {
		t.Fatal("sleep has no PID")
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		id, err := proc.Identify(pid)
		if err != nil {
			return // it has ended
		}
		if time.Now().After(deadline) {
			_ = id.End(0)
			t.Fatal("sleep still runs")
		}
	}
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An interrupt ends what -load runs, with the processes that its shell starts.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	started := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := make(chan time.Time, 1)
	go func() {
		for {
			if _, err := os.Stat(started); err == nil || t.Context().Err() != nil {
				interrupted <- time.Now()
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	// The pipe keeps the shell from replacing itself with sleep.
	out, err := loadCommand(ctx, "sleep 60 | (touch "+started+"; cat)").CombinedOutput()
	if err == nil || ctx.Err() == nil {
		t.Fatalf("not interrupted: %v, %s", err, out)
	}
	if took := time.Since(<-interrupted); took > 4*time.Second {
		t.Errorf("ended %s after the interrupt", took)
	}
}

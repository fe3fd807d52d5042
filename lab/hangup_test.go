package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// A closed terminal ends the context, so that what runs in other process groups is ended.
func TestUntilHangup(t *testing.T) { // not parallel: the signal reaches all tests
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("SIGHUP is ignored: run the tests without nohup")
	}
	ctx, release := untilHangup(t.Context())
	defer release()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Error("the context does not end")
	}
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// No command touches another checkout's lab.
func TestOtherOwner(t *testing.T) {
	l := newLab(t)
	if _, stderr, code := l.run(t.Context(), "up"); code != 0 {
		t.Fatalf("%d, %s", code, stderr)
	}
	mine := l.state
	if err := os.WriteFile(l.calls+".owner", []byte("\n/another/.lab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(l.calls); err != nil {
		t.Fatal(err)
	}
	want := "compose: project soundcheck belongs to the lab in /another/.lab: use another -port-offset, " +
		"or stop that lab and delete its data: go run ./compose -state /another/.lab down -volumes\n"
	for _, args := range []string{"up", "up -fresh", "down", "down -volumes", "ps", "exec postgres true"} {
		if _, stderr, code := l.run(t.Context(), strings.Fields(args)...); code != 1 || stderr != want {
			t.Errorf("%s: %d, %s, want %s", args, code, stderr, want)
		}
	}
	l.state = filepath.Join(t.TempDir(), "new") // an empty state folder
	if _, stderr, code := l.run(t.Context(), "down", "-volumes"); code != 1 || stderr != want {
		t.Errorf("down: %d, %s, want %s", code, stderr, want)
	}
	if got := l.called("compose "); got != "" {
		t.Errorf("docker %s", got)
	}
	// As the message says. The other folder may be deleted.
	l.state = filepath.Join(t.TempDir(), "another")
	if err := os.WriteFile(l.calls+".owner", []byte(l.state+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := l.run(t.Context(), "down", "-volumes"); code != 0 {
		t.Errorf("%d, %s", code, stderr)
	}
	l.state = mine
	if _, stderr, code := l.run(t.Context(), "up"); code != 0 {
		t.Errorf("up, after the other lab was deleted: %d, %s", code, stderr)
	}
}

// Containers of profiles that are off now are removed before up: they hold ports.
func TestDisabledProfiles(t *testing.T) {
	l := newLab(t)
	l.touch(".strays")
	if _, stderr, code := l.run(t.Context(), "up", "-edge"); code != 0 || strings.Contains(stderr, "removing") {
		t.Errorf("%d, %s", code, stderr)
	}
	if _, stderr, code := l.run(t.Context(), "up"); code != 0 || !strings.Contains(stderr, "removing nginx: its profile is off\n") {
		t.Errorf("%d, %s", code, stderr)
	}
	b, err := os.ReadFile(l.calls)
	if err != nil {
		t.Fatal(err)
	}
	calls := string(b)
	rm, up := strings.Index(calls, "\nrm --force --volumes 4\n"), strings.LastIndex(calls, "compose.yaml up ")
	if rm < 0 || up < rm {
		t.Errorf("nginx was not removed before up:\n%s", calls)
	}
}

func TestInterruptedCommands(t *testing.T) {
	l := newLab(t)
	if _, stderr, code := l.run(t.Context(), "up"); code != 0 {
		t.Fatalf("%d, %s", code, stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"up", "down", "ps"} {
		if _, stderr, code := l.run(ctx, args); code != 130 || stderr != "compose: interrupted\n" {
			t.Errorf("%s: %d, %s", args, code, stderr)
		}
	}
}

// An interrupt before the start changes nothing.
func TestInterruptDuringPrepare(t *testing.T) {
	l := newLab(t)
	begun := l.calls + ".git"
	git := "#!/bin/sh\n>" + begun + "\nexec sleep 3600\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(l.calls), "git"), []byte(git), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(begun); err == nil {
				cancel()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, stderr, code := l.run(ctx, "up", "-fresh"); code != 130 || stderr != "compose: interrupted\n" {
		t.Errorf("%d, %s", code, stderr)
	}
	if got := l.called("volume create"); got != "" {
		t.Errorf("docker %s", got)
	}
}

package proc

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// child starts a leader whose child is in its group, and returns the child's ID.
func child(t *testing.T, script string) (leader process, c ID) {
	t.Helper()
	leader = start(t, script)
	pid, err := strconv.Atoi(leader.first)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Identify(pid); err != nil {
		t.Fatal(err)
	}
	return leader, c
}

const (
	drains   = "sh -c 'trap \"sleep 0.5; exit\" TERM; echo $$; while :; do sleep 0.1; done' & wait"
	stubborn = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait"
)

// A child that takes its time outlives its leader, and End waits for it.
func TestEndAwaitsChildren(t *testing.T) {
	t.Parallel()
	leader, c := child(t, drains)
	leader.reap()
	if err := leader.End(time.Minute); err != nil {
		t.Fatal(err)
	}
	if c.Alive() || GroupAlive(leader.PID) {
		t.Error("the child is alive")
	}
}

func TestEndKillsChildren(t *testing.T) {
	t.Parallel()
	leader, c := child(t, stubborn)
	leader.reap()
	if err := leader.End(300 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c.Alive() {
		t.Error("the child is alive")
	}
}

// What a leader that crashed left behind is ended.
func TestEndGroup(t *testing.T) {
	t.Parallel()
	leader, c := child(t, "sleep 600 & echo $!; wait")
	syscall.Kill(leader.PID, syscall.SIGKILL) // the leader alone
	leader.cmd.Wait()
	if !c.Alive() || !GroupAlive(leader.PID) {
		t.Fatal("the child did not outlive the leader")
	}
	if runtime.GOOS == "linux" && leader.GroupRSS() != c.RSS() {
		t.Errorf("the group has %d bytes, its only member %d", leader.GroupRSS(), c.RSS())
	}
	if killed, err := EndGroup(leader.PID, true, time.Minute); killed || err != nil {
		t.Errorf("killed %t, %v", killed, err)
	}
	if c.Alive() || GroupAlive(leader.PID) {
		t.Error("the child is alive")
	}
	leader, c = child(t, stubborn)
	syscall.Kill(leader.PID, syscall.SIGKILL)
	leader.cmd.Wait()
	if killed, err := EndGroup(leader.PID, true, 100*time.Millisecond); !killed || err != nil || c.Alive() {
		t.Errorf("killed %t, %v; the child is alive: %t", killed, err, c.Alive())
	}
	if GroupAlive(1) || GroupAlive(0) || GroupAlive(-1) {
		t.Error("a number that is no group's is alive")
	}
	if !GroupAlive(syscall.Getpgrp()) {
		t.Errorf("the group of process %d is not alive", os.Getpid())
	}
}

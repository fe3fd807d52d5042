package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// flagsOf returns the lab that lab up would start.
func flagsOf(t *testing.T, env map[string]string, args ...string) (plan.Lab, error) {
	t.Helper()
	getenv := func(name string) string { return env[name] }
	f := newUpFlags()
	if err := f.Parse(args, getenv, io.Discard); err != nil {
		return plan.Lab{}, err
	}
	if f.again {
		var err error
		if f, err = f.asBefore(t.Context(), args, getenv, io.Discard); err != nil {
			return plan.Lab{}, err
		}
	}
	l, _, err := f.complete(getenv)
	l.Getenv = nil
	return l, err
}

// The command that the doctor suggests for a lab with many flags leads to the same lab, whatever the environment is
// by then. It has no password, and neither has the state folder.
func TestAgain(t *testing.T) {
	t.Parallel()
	state, err := os.MkdirTemp("", "lab 'x") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	const db = "postgres://me:secret@h/d?sslmode=disable"
	_, given := downLab(t)
	args := append([]string{"-with", "shop=echo 'a b' \"$HOME\"; exec sleep 600", "-with", "b=exec sleep 601", "-with-url", "shop=http://127.0.0.1:1",
		"-with-timeout", "5m", "-with-dir", "/tmp", "-from", "source", "-otlp-everywhere"}, given[2:]...)
	args = append(args, "-state", state)
	l, err := flagsOf(t, map[string]string{"SOUNDCHECK_LAB_DB": db}, args...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- supervisor.Run(ctx, l, nil, &build.Builder{Root: l.Root}, slog.New(slog.DiscardHandler))
	}()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, st, err := supervisor.Connect(t.Context(), state); err == nil && st.Phase == supervisor.Up {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the supervisor is not up")
		}
	}
	same := func(env map[string]string, args ...string) {
		t.Helper()
		if got, err := flagsOf(t, env, append(args, "-again", "-state", state)...); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("lab up -again %q: %v\n%+v\nwant\n%+v", args, err, got, l)
		}
	}
	same(nil) // the supervisor knows the password
	same(map[string]string{"SOUNDCHECK_LAB_DB": "memory", "SOUNDCHECK_LAB_WITH": "c=true", "SOUNDCHECK_LAB_STORE": "http://h:1", "SOUNDCHECK_LAB_PORT_OFFSET": "7"})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Logs(), supervisor.ErrName), []byte("lab: bad luck\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, _, _ := lab(t.Context(), "doctor", "-state", state)
	const command = "go run ./lab up -state '"
	if !strings.Contains(stdout, "the lab stopped by itself") || !strings.Contains(stdout, command+strings.ReplaceAll(state, "'", `'\''`)+"' -again\n") || strings.Contains(stdout, "secret") {
		t.Errorf("doctor:\n%s", stdout)
	}
	same(map[string]string{"SOUNDCHECK_LAB_DB": db})
	if _, err := flagsOf(t, nil, "-again", "-state", state); err == nil || !strings.Contains(err.Error(), "the password and the parameters of postgres://me@h/d are not stored: set SOUNDCHECK_LAB_DB") {
		t.Errorf("without the password: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(state, "up.json"))
	if err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("%v, recorded\n%s", err, b)
	}

	// Flags that are given replace those of the last start.
	got, err := flagsOf(t, nil, "-again", "-state", state, "-port-offset", "7", "-with", "c=true", "-with-url", "http://127.0.0.1:2", "-store", "http://h:1")
	if err != nil || got.Offset != 7 || len(got.UserServices) != 1 || got.UserServices[0].URL != "http://127.0.0.1:2" || got.UserServices[0].Timeout != 5*time.Minute || got.DB != "" || len(got.Stores) != 1 || got.From != plan.Source {
		t.Errorf("%v\n%+v", err, got)
	}
	if got, err = flagsOf(t, nil, "-again", "-state", state, "-db", "memory", "-with-timeout", "7m"); err != nil || got.DB != "memory" || got.UserServices[0].Timeout != 7*time.Minute {
		t.Errorf("%v\n%+v", err, got)
	}
}

// Without a last start, and with a wrong flag, nothing is stopped or started.
func TestAgainFails(t *testing.T) {
	t.Parallel()
	state := noStore(t)
	for _, tt := range []struct {
		state string
		args  []string
		code  int
		want  string
	}{
		{t.TempDir(), nil, 1, "-again: no start is recorded in "},
		{state, []string{"-with", "x"}, 2, `-with "x" is not NAME=COMMAND`},
		{state, []string{"-wait", "x"}, 2, "-wait x: must be all or services"},
		{state, []string{"-db", "postgres://h/d", "-fresh"}, 2, "-fresh cannot empty the external database"},
	} {
		_, stderr, code := lab(t.Context(), append([]string{"up", "-again", "-state", tt.state}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: code %d, stderr %q, want %d, %q", tt.args, code, stderr, tt.code, tt.want)
		}
	}
	if _, st, err := supervisor.Connect(t.Context(), state); err != nil || st.Phase != supervisor.Up {
		t.Errorf("the lab is %q, %v", st.Phase, errors.Join(err))
	}
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// noStore runs a supervisor of a lab with external album stores and no components. The tests
// check the commands' output about the store; internal/e2e starts real stores.
func noStore(t *testing.T, stores ...string) (state string) {
	t.Helper()
	state, err := os.MkdirTemp("", "lab") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		l := plan.Lab{Root: "..", State: state, Stores: stores, From: plan.Auto}
		ended <- supervisor.Run(ctx, l, nil, &build.Builder{Root: ".."}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, os.RemoveAll(state)); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		_, st, err := supervisor.Connect(t.Context(), state)
		if err == nil && st.Phase == supervisor.Up {
			return state
		}
		if time.Now().After(deadline) {
			t.Fatalf("the supervisor is %q: %v", st.Phase, err)
		}
	}
}

// Each command reports that the album store is external, and its URL.
func TestExternalStore(t *testing.T) {
	t.Parallel()
	const one, two = "http://127.0.0.1:1", "http://h:2"
	state := noStore(t, one, two)
	for name, text := range map[string]string{"album-store": "of an earlier one\n", "proxy-service": "of the proxy\n"} {
		if err := os.WriteFile(filepath.Join(state, "logs", name+".log"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const where = "the album store is external: the proxy calls " + one + ", " + two + "\n"
	external := "album-store is not a component of the lab in " + state + ": it is external, at " + one + ", " + two + " (lab up -store)"
	for name, tt := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"status":   {[]string{"status"}, 0, where, ""},
		"as JSON":  {[]string{"status", "-json"}, 0, `"stores": [` + "\n    \"" + one + "\",\n    \"" + two + "\"\n  ]", ""},
		"restart":  {[]string{"restart", "album-store"}, 1, "", "lab: " + external + "; restart it there\n"},
		"unknown":  {[]string{"restart", "apache"}, 2, "", `no component "apache"; components: jaeger, `},
		"its log":  {[]string{"logs", "proxy-service", "album-store"}, 1, "", "lab: " + external + "; its log is not in the state folder\n"},
		"all logs": {[]string{"logs"}, 0, "proxy-service   of the proxy\n", ""},
		"the same": {[]string{"up", "-store", one + "," + two}, 0, where, "the lab is already up\n"},
		"another":  {[]string{"up", "-store", one}, 1, "", "a lab with albums in the album store at " + one + "," + two + " is running in " + state + ": stop it first"},
		"its own":  {[]string{"up"}, 1, "", "a lab with albums in the album store at " + one},
		"for all": {[]string{"up", "-store", one + "," + two, "-otlp-everywhere"}, 1, "",
			"a lab with -otlp-everywhere=false is running in " + state + ": stop it first (go run ./lab down -state " + state + "), or give this one another -state\n"},
		"own database": {[]string{"up", "-db", "memory"}, 1, "", "a lab with albums in the album store at " + one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{tt.args[0], "-state", state}, tt.args[1:]...)
			stdout, stderr, code := lab(t.Context(), args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("lab %q: code %d, stdout %q, stderr %q; want %d, %q, %q", args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
			if strings.Contains(stdout, "an earlier one") || strings.Contains(stdout, `"database"`) {
				t.Errorf("lab %q tells of another store: %q", args, stdout)
			}
		})
	}
}

// A lab with its own store reports no external ones, and does not switch to one.
func TestOwnStore(t *testing.T) {
	t.Parallel()
	state := noStore(t)
	if stdout, stderr, code := lab(t.Context(), "status", "-state", state); code != 0 || strings.Contains(stdout, "none of them") {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	_, stderr, code := lab(t.Context(), "up", "-state", state, "-store", "http://h:1")
	if want := "a lab with albums in sqlite:" + state; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("code %d, stderr %q; want 1 and %q", code, stderr, want)
	}
}

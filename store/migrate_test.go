package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/store/db/dbtest"
)

// started is "store migrate" in the background.
type started struct {
	mu             sync.Mutex
	stderr         bytes.Buffer
	stdout, errors bytes.Buffer
	code           chan int
}

// Write implements io.Writer for stderr.
func (s *started) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stderr.Write(b)
}

func (s *started) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stderr.String()
}

func startMigrate(ctx context.Context, args ...string) *started {
	s := &started{code: make(chan int, 1)}
	go func() {
		err := run(ctx, append([]string{"migrate"}, args...), noenv, &s.stdout, s)
		s.code <- cli.Code("store", &s.errors, err)
	}()
	return s
}

// until returns when it has logged this.
func (s *started) until(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(s.logged(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has not logged %q:\n%s", text, s.logged())
		}
	}
}

// onlyTimeouts matches the log of a command that waited for nothing, or for a server too busy for an attempt.
var onlyTimeouts = regexp.MustCompile(`^(waiting up to 1m0s for .*\n(waiting: .*(deadline exceeded|time(d )?out|interrupted).*\n)+)?$`)

// "migrate wait" ends when another process has migrated, or when its time is over.
func TestMigrateWait(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ url, cause string }{
		"sqlite":   {"sqlite:" + filepath.Join(t.TempDir(), "albums.db"), "no such file"},
		"postgres": {server.New(t), "pending migrations: 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for limit := 600 * time.Millisecond; ; limit *= 2 { // longer if a busy server took as long to respond
				late := startMigrate(t.Context(), "wait", "-db", tt.url, "-wait", limit.String())
				code := <-late.code
				if found := strings.Contains(late.errors.String(), tt.cause); !found && limit < time.Minute {
					continue
				} else if code != 1 || !strings.Contains(late.errors.String(), "not ready after "+limit.String()+": ") || !found {
					t.Errorf("too late: %d, %s", code, late.errors.String())
				}
				break
			}
			wait := startMigrate(t.Context(), "wait", "-db", tt.url)
			wait.until(t, "waiting up to 5m0s for ")
			wait.until(t, "waiting: ")
			up := startMigrate(t.Context(), "up", "-db", tt.url, "-wait", "1m")
			if code := <-up.code; code != 0 || strings.Count(up.stdout.String(), "\nup ") != 4 {
				t.Errorf("up: %d, %s%s%s", code, up.stdout.String(), up.logged(), up.errors.String())
			}
			if code := <-wait.code; code != 0 || wait.stdout.String() != "no pending migrations\n" {
				t.Errorf("wait: %d, %s%s", code, wait.stdout.String(), wait.errors.String())
			}
			if status := startMigrate(t.Context(), "status", "-db", tt.url, "-wait", "1m"); <-status.code != 0 || !onlyTimeouts.MatchString(status.logged()) {
				t.Errorf("status: %s%s", status.logged(), status.errors.String())
			}
		})
	}
}

// With -wait a migration may begin before its server. What is certain to fail is not waited for.
func TestMigrateBeforeServer(t *testing.T) {
	t.Parallel()
	own, err := dbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Stop() })
	url := own.New(t)
	if err := own.Down(); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupted := startMigrate(ctx, "status", "-db", url, "-wait", "1h")
	up := startMigrate(t.Context(), "up", "-db", url, "-wait", "5m")
	for _, s := range []*started{interrupted, up} {
		s.until(t, "waiting: ")
	}
	interrupt()
	if code := <-interrupted.code; code != 1 || !strings.Contains(interrupted.errors.String(), "context canceled") {
		t.Errorf("interrupted: %d, %s", code, interrupted.errors.String())
	}
	var stderr bytes.Buffer
	if code := cli.Code("store", &stderr, run(t.Context(), []string{"migrate", "up", "-db", url}, noenv, io.Discard, &stderr)); code != 1 || strings.Contains(stderr.String(), "waiting") {
		t.Errorf("without -wait: %d, %s", code, stderr.String())
	}
	if err := own.Up(); err != nil {
		t.Fatal(err)
	}
	if code := <-up.code; code != 0 || !strings.Contains(up.stdout.String(), "up       5  river queue") {
		t.Errorf("up: %d, %s%s", code, up.stdout.String(), up.errors.String())
	}
	if n := strings.Count(up.logged(), "waiting up to "); n != 1 {
		t.Errorf("it begins to wait %d times:\n%s", n, up.logged())
	}
	bad := startMigrate(t.Context(), "wait", "-db", url+"&sslrootcert=/nonexistent&sslmode=verify-full", "-wait", "1h")
	if code := <-bad.code; code != 1 || bad.logged() != "" || !strings.Contains(bad.errors.String(), "/nonexistent") {
		t.Errorf("a certificate that is not there: %d, %s%s", code, bad.logged(), bad.errors.String())
	}
}

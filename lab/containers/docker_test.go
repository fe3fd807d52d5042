package containers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeDocker puts a docker command that is this shell script before all others.
func fakeDocker(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestFindEngine(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"answers", `echo linux/arm64`, ""},
		{"no permission", `echo 'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix: connect: permission denied' >&2; exit 1`,
			"permission denied on Docker's socket: sudo usermod -aG docker $USER"},
		{"down", `echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1`,
			"Docker's daemon does not respond: start it"},
		{"something else", `echo 'one thing' >&2; echo 'and another' >&2; exit 1`, "docker version: exit status 1: one thing"},
		{"no platform", `echo nothing`, `docker version shows "nothing", which is not a platform`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", "")
			fakeDocker(t, tt.script)
			platform, err := FindEngine(t.Context())
			if got, want := errors.As(err, new(Unavailable)), tt.name == "down"; got != want {
				t.Errorf("%v is Unavailable: %t, want %t", err, got, want)
			}
			switch {
			case tt.want == "" && (err != nil || platform != "linux/arm64"):
				t.Errorf("%s, %v", platform, err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("%v, want a line that begins with %s", err, tt.want)
			}
		})
	}
}

func TestNoDocker(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := FindEngine(t.Context()); !errors.As(err, new(Unavailable)) || !strings.HasPrefix(err.Error(), "docker command not found: install Docker") {
		t.Errorf("without docker: %v", err)
	}
}

// The real docker command with a daemon that is down.
func TestDaemonDown(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere")
	_, err := FindEngine(t.Context())
	if err != nil && strings.HasPrefix(err.Error(), "there is no docker command") {
		t.Skip(err)
	}
	if want := "Docker's daemon does not respond at unix:///nowhere (DOCKER_HOST): start it"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestFindCompose(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         string // of the error
	}{
		{"plugin", `echo v5.5.0`, ""},
		{"without v", `echo 2.27.0-ubuntu1`, ""},
		{"least", `echo 2.24.4`, ""},
		{"own build", `echo dev`, ""},
		{"old", `echo 2.23.3`, "docker's Compose plugin 2.23.3 is older than 2.24, and building one failed: "},
		{"none", `echo "docker: unknown command: docker compose" >&2; exit 1`, "docker has no Compose plugin, and building one failed: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeDocker(t, tt.script)
			// There is nothing to build from.
			l := New(t.TempDir(), t.TempDir(), Options{})
			var logged []string
			err := l.FindCompose(t.Context(), func(s string) { logged = append(logged, s) })
			if tt.want == "" {
				if err != nil || strings.Join(l.Docker, " ") != "docker compose" || len(logged) > 0 {
					t.Errorf("%q, %v, logged %q", l.Docker, err, logged)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || len(logged) != 1 {
				t.Errorf("%q, %v, logged %q", l.Docker, err, logged)
			}
		})
	}
}

// interruptedBy returns a context that ends once there is a file.
func interruptedBy(t *testing.T, path string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(path); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return ctx
}

// An interrupt while the plugin is built is one, and not what the build makes of it.
func TestFindComposeInterrupted(t *testing.T) {
	fakeDocker(t, "exit 1")
	dir, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	begun := filepath.Join(dir, "begun")
	ctx := interruptedBy(t, begun)
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n>"+begun+"\nexec sleep 3600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "compose/plugin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(root, "compose/plugin", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := New(root, t.TempDir(), Options{}).FindCompose(ctx, func(string) {}); err != context.Canceled {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// A docker command that hangs times out, even if its child process does not exit.
func TestSilent(t *testing.T) {
	defer func(d time.Duration) { askTimeout = d }(askTimeout)
	askTimeout = 100 * time.Millisecond
	t.Setenv("DOCKER_HOST", "")
	fakeDocker(t, "sleep 3600 & wait")
	begun := time.Now()
	_, err := FindEngine(t.Context())
	if want := "Docker's daemon does not respond within 100ms: restart it"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	l := New(t.TempDir(), t.TempDir(), Options{})
	if err := l.FindCompose(t.Context(), func(string) { t.Error("the plugin is built") }); err == nil || err.Error() != "docker compose version does not respond in time (100ms)" {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Minute {
		t.Errorf("it took %s", took)
	}
}

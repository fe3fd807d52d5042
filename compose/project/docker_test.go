package project

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/build"
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
			"you may not use Docker's socket: sudo usermod -aG docker $USER"},
		{"down", `echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1`,
			"Docker's daemon does not answer: start it"},
		{"something else", `echo 'one thing' >&2; echo 'and another' >&2; exit 1`, "docker version: exit status 1: one thing"},
		{"no platform", `echo nothing`, `docker version says "nothing", which is no platform`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", "")
			fakeDocker(t, tt.script)
			e, err := FindEngine(t.Context())
			switch {
			case tt.want == "" && (err != nil || e.Platform != "linux/arm64"):
				t.Errorf("%+v, %v", e, err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("%v, want a line that begins with %s", err, tt.want)
			}
		})
	}
}

func TestNoDocker(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := FindEngine(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "there is no docker command: install Docker") {
		t.Errorf("without docker: %v", err)
	}
}

// The real command says it of a daemon that is not there.
func TestDaemonDown(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere")
	_, err := FindEngine(t.Context())
	if err != nil && strings.HasPrefix(err.Error(), "there is no docker command") {
		t.Skip(err)
	}
	if want := "Docker's daemon does not answer at unix:///nowhere (DOCKER_HOST): start it"; err == nil || !strings.HasPrefix(err.Error(), want) {
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
		{"old", `echo 2.23.3`, "docker's Compose plugin 2.23.3 is older than 2.24, and none could be built: "},
		{"none", `echo "docker: unknown command: docker compose" >&2; exit 1`, "docker has no Compose plugin, and none could be built: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeDocker(t, tt.script)
			// A builder that has nothing to build from: it is only asked when it is needed.
			b := &build.Builder{Root: t.TempDir(), Bin: t.TempDir(), Logs: t.TempDir()}
			var said []string
			got, err := FindCompose(t.Context(), b, func(s string) { said = append(said, s) })
			if tt.want == "" {
				if err != nil || strings.Join(got, " ") != "docker compose" || len(said) > 0 {
					t.Errorf("%q, %v, said %q", got, err, said)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || len(said) != 1 {
				t.Errorf("%q, %v, said %q", got, err, said)
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
	_, err := FindCompose(ctx, &build.Builder{Root: root, Bin: t.TempDir(), Logs: t.TempDir()}, func(string) {})
	if err != context.Canceled {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// A docker that hangs holds nobody up for long, also if what it started lives on.
func TestSilent(t *testing.T) {
	defer func(d time.Duration) { askTimeout = d }(askTimeout)
	askTimeout = 100 * time.Millisecond
	t.Setenv("DOCKER_HOST", "")
	fakeDocker(t, "sleep 3600 & wait")
	begun := time.Now()
	_, err := FindEngine(t.Context())
	if want := "Docker's daemon does not answer within 100ms: restart it"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	b := &build.Builder{Root: t.TempDir(), Bin: t.TempDir(), Logs: t.TempDir()}
	if _, err := FindCompose(t.Context(), b, func(string) { t.Error("the plugin is built") }); err == nil || err.Error() != "docker compose version does not answer in time (100ms)" {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Minute {
		t.Errorf("it took %s", took)
	}
}

func TestHostPorts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]int{
		"":                                   nil,
		"5432/tcp":                           nil,
		"127.0.0.1:9070->9070/tcp":           {9070},
		"127.0.0.1:4317-4318->4317-4318/tcp": {4317, 4318}, // the Collector's at offset 0
		"127.0.0.1:3300->3300/tcp, 127.0.0.1:16696->16696/tcp": {3300, 16696},
		"0.0.0.0:80->80/tcp, [::]:80->80/tcp, 9/udp":           {80, 80},
	} {
		if got := hostPorts(line); !slices.Equal(got, want) {
			t.Errorf("hostPorts(%q) = %v, want %v", line, got, want)
		}
	}
}

func TestCheckPorts(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begun := filepath.Join(t.TempDir(), "begun")
	fakeDocker(t, ">"+begun+"; exec sleep 3600")
	if err := newProject(t, Options{}).CheckPorts(interruptedBy(t, begun)); err != context.Canceled {
		t.Errorf("interrupted: %v, want %v", err, context.Canceled)
	}
	taken := l.Addr().(*net.TCPAddr).Port
	p := newProject(t, Options{OnlyStore: true, Offset: taken - storePort.base})
	fakeDocker(t, "")
	err = p.CheckPorts(t.Context())
	if want := fmt.Sprintf("port %d, of the album store, is taken: ", taken); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s…", err, want)
	}
	// By this very lab, which is up.
	fakeDocker(t, fmt.Sprintf("case \"$*\" in *project=%s*) echo '5432/tcp'; echo '127.0.0.1:%d->9080/tcp';; esac", p.Name(), taken))
	if err := p.CheckPorts(t.Context()); err != nil {
		t.Errorf("the lab's own port: %v", err)
	}
	// Two in a row, of which the first is the one that is taken.
	fakeDocker(t, fmt.Sprintf("echo '127.0.0.1:%d-%d->9080-9081/tcp'", taken, taken+1))
	if err := p.CheckPorts(t.Context()); err != nil {
		t.Errorf("the lab's own ports: %v", err)
	}
	fakeDocker(t, "")
	l.Close()
	if err := p.CheckPorts(t.Context()); err != nil {
		t.Errorf("a port that is free: %v", err)
	}
	t.Setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
	fakeDocker(t, "exit 1")
	if err := p.CheckPorts(t.Context()); err != nil {
		t.Errorf("ports of another machine: %v", err)
	}
}

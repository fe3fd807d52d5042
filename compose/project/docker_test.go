package project

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		plugin       bool
	}{
		{"plugin", `echo v5.5.0`, true},
		{"without v", `echo 2.27.0-ubuntu1`, true},
		{"least", `echo 2.24.4`, true},
		{"own build", `echo dev`, true},
		{"old", `echo 2.23.3`, false},
		{"none", `echo "docker: unknown command: docker compose" >&2; exit 1`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeDocker(t, tt.script)
			// A builder that has nothing to build from: it is only asked when it is needed.
			b := &build.Builder{Root: t.TempDir(), Bin: t.TempDir(), Logs: t.TempDir()}
			var said []string
			got, err := FindCompose(t.Context(), b, func(s string) { said = append(said, s) })
			if tt.plugin {
				if err != nil || strings.Join(got, " ") != "docker compose" || len(said) > 0 {
					t.Errorf("%q, %v, said %q", got, err, said)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "docker has no Compose plugin, and it could not be built") || len(said) != 1 {
				t.Errorf("%q, %v, said %q", got, err, said)
			}
		})
	}
}

func TestCheckPorts(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
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

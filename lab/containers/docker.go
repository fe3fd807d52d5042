package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"soundcheck/lab/build"
)

// Unavailable is the error when this machine has no Docker, or its daemon is down.
type Unavailable string

func (e Unavailable) Error() string { return string(e) }

// FindEngine returns the platform of Docker's daemon, such as linux/amd64. Its errors name the
// fix in one line.
func FindEngine(ctx context.Context) (platform string, err error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return "", Unavailable("docker command not found: install Docker (https://docs.docker.com/engine/install), or start the native lab: make lab-up")
	}
	out, stderr, err := ask(ctx, "docker", "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err == nil && strings.Count(out, "/") == 1 {
		return out, nil
	}
	host := ""
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		host = " at " + h + " (DOCKER_HOST)"
	}
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(stderr), w) {
				return true
			}
		}
		return false
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, errTimeout):
		return "", fmt.Errorf("Docker's daemon does not respond within %s%s: restart it (sudo systemctl restart docker, or Docker Desktop)", askTimeout, host)
	case has("permission denied"):
		return "", errors.New("permission denied on Docker's socket" + host + ": sudo usermod -aG docker $USER, and log in again")
	case has("cannot connect", "daemon running", "no such host", "dial "):
		return "", Unavailable("Docker's daemon does not respond" + host + ": start it (sudo systemctl start docker, or Docker Desktop)")
	case err == nil:
		return "", fmt.Errorf("docker version shows %q, which is not a platform", out)
	}
	return "", fmt.Errorf("docker version: %w: %s", err, firstLine(stderr))
}

// plugin is Docker Compose itself.
var plugin = build.Target{Name: "docker-compose", Module: "compose/plugin", Package: "github.com/docker/compose/v5/cmd"}

// FindCompose finds the command docker compose: the plugin, if it is new
// enough, else a binary that is built once. Log is called before the build.
func (l *Lab) FindCompose(ctx context.Context, log func(string)) error {
	version, _, err := ask(ctx, "docker", "compose", "version", "--short")
	switch {
	case err == nil && newEnough(version):
		l.Docker = []string{"docker", "compose"}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errTimeout):
		return fmt.Errorf("docker compose version %w", err)
	}
	why := "docker has no Compose plugin"
	if err == nil {
		why = fmt.Sprintf("docker's Compose plugin %s is older than 2.24", version)
	}
	if err := os.MkdirAll(l.Dir(), 0o755); err != nil {
		return err
	}
	b := l.Binaries()
	if !b.Fresh(plugin) {
		log(why + ": building one, once; this takes minutes")
	}
	if err := b.Build(ctx, plugin, new(build.Progress)); ctx.Err() != nil { // an interrupt, whatever the build error
		return ctx.Err()
	} else if err != nil {
		return fmt.Errorf("%s, and building one failed: %w; see %s, or install it: https://docs.docker.com/compose/install", why, err, b.Log(plugin))
	}
	l.Docker = []string{b.Path(plugin)}
	return nil
}

// Binaries returns the builder for this machine. All labs of a repository
// share them.
func (l *Lab) Binaries() *build.Builder {
	return &build.Builder{Root: l.Root, Bin: filepath.Join(l.Root, ".lab", "bin"), Logs: l.Dir()}
}

// newEnough parses 2.27.0, v5.5.0 and versions with a distribution's suffix: !reset and
// !override need 2.24. It accepts what is not a version, such as dev.
func newEnough(version string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor)
	return n < 2 || major > 2 || major == 2 && minor >= 24
}

// askTimeout is the timeout of a call of docker. Tests shorten it.
var askTimeout = 10 * time.Second

var errTimeout = errors.New("does not respond in time")

// ask runs a short command and returns its output. The error is that of ctx if
// it has ended.
func ask(ctx context.Context, name string, args ...string) (stdout, stderr string, err error) {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(limited, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second // a plugin may outlive docker and hold its output open
	err = cmd.Run()
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	case err != nil && limited.Err() != nil:
		err = fmt.Errorf("%w (%s)", errTimeout, askTimeout)
	}
	return strings.TrimSpace(out.String()), strings.TrimSpace(errs.String()), err
}

// docker runs docker and returns the lines of its output. If the daemon is unavailable, the
// error is that of FindEngine, which names the fix.
func docker(ctx context.Context, args ...string) ([]string, error) {
	out, stderr, err := ask(ctx, "docker", args...)
	if err == nil {
		return strings.Split(out, "\n"), nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if _, err := FindEngine(ctx); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("docker %s: %w: %s", strings.Join(args[:2], " "), err, firstLine(stderr))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

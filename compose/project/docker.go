package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"soundcheck/lab/build"
)

// Engine is the Docker engine that answers.
type Engine struct {
	Platform string // such as linux/amd64
}

// FindEngine asks Docker's daemon what it is. Its errors say in a line what to do.
func FindEngine(ctx context.Context) (Engine, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return Engine{}, errors.New("there is no docker command: install Docker (https://docs.docker.com/engine/install), or start the lab without it: make lab-up")
	}
	out, said, err := ask(ctx, "docker", "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err == nil && strings.Count(out, "/") == 1 {
		return Engine{Platform: out}, nil
	}
	if ctx.Err() != nil {
		return Engine{}, ctx.Err()
	}
	host := ""
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		host = " at " + h + " (DOCKER_HOST)"
	}
	lower := strings.ToLower(said)
	switch {
	case errors.Is(err, errSilent):
		return Engine{}, fmt.Errorf("Docker's daemon does not answer within %s%s: restart it (sudo systemctl restart docker, or Docker Desktop)", askTimeout, host)
	case strings.Contains(lower, "permission denied"):
		return Engine{}, errors.New("you may not use Docker's socket" + host + ": sudo usermod -aG docker $USER, and log in anew")
	case strings.Contains(lower, "cannot connect"), strings.Contains(lower, "daemon running"),
		strings.Contains(lower, "no such host"), strings.Contains(lower, "dial "):
		return Engine{}, errors.New("Docker's daemon does not answer" + host + ": start it (sudo systemctl start docker, or Docker Desktop)")
	case err == nil:
		return Engine{}, fmt.Errorf("docker version says %q, which is no platform", out)
	}
	return Engine{}, fmt.Errorf("docker version: %w: %s", err, firstLine(said))
}

// What Compose must have: !reset and !override in the files.
const (
	leastMajor = 2
	leastMinor = 24
)

// pluginTarget is Docker Compose itself.
var pluginTarget = build.Target{Name: "docker-compose", Module: "compose/plugin", Package: "github.com/docker/compose/v5/cmd"}

// FindCompose returns the command docker compose: the plugin, if there is one that is new
// enough, or else a program that b builds. Say is told why that takes its time.
func FindCompose(ctx context.Context, b *build.Builder, say func(string)) ([]string, error) {
	out, _, err := ask(ctx, "docker", "compose", "version", "--short")
	if err == nil && newEnough(out) {
		return []string{"docker", "compose"}, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, errSilent) {
		return nil, fmt.Errorf("docker compose version %w", err)
	}
	why := "docker has no Compose plugin"
	if err == nil {
		why = fmt.Sprintf("docker's Compose plugin %s is older than %d.%d", out, leastMajor, leastMinor)
	}
	if !b.Fresh(pluginTarget) {
		say(why + ": building one, once, which takes some minutes")
	}
	if err := b.Build(ctx, pluginTarget, new(build.Progress)); err != nil {
		if ctx.Err() != nil { // whatever the go command made of it
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s, and none could be built: %w; see %s, or install it: https://docs.docker.com/compose/install", why, err, b.Log(pluginTarget))
	}
	return []string{b.Path(pluginTarget)}, nil
}

// newEnough knows 2.27.0, v5.5.0 and versions that distributions have added to. What is no
// version, such as dev, was built by somebody who knows.
func newEnough(version string) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return true
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil {
		return true
	}
	return major > leastMajor || major == leastMajor && minor >= leastMinor
}

// askTimeout is what a question may take. Tests shorten it.
var askTimeout = 10 * time.Second

// errSilent is of a question that got no answer in time.
var errSilent = errors.New("does not answer in time")

// ask runs a command that answers at once, and returns what it writes, without the space
// around it. The error is that of ctx if this has ended.
func ask(ctx context.Context, name string, args ...string) (stdout, stderr string, err error) {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(limited, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second // a plugin may outlive docker, and hold its output open
	err = cmd.Run()
	switch {
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	case err != nil && limited.Err() != nil:
		err = fmt.Errorf("%w (%s)", errSilent, askTimeout)
	}
	return strings.TrimSpace(out.String()), strings.TrimSpace(said.String()), err
}

// docker asks docker, and returns the lines of its answer. If it cannot be asked at all, the
// error is that of FindEngine, which says what to do.
func docker(ctx context.Context, args ...string) ([]string, error) {
	out, said, err := ask(ctx, "docker", args...)
	if err == nil {
		return strings.Split(out, "\n"), nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if _, err := FindEngine(ctx); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("docker %s: %w: %s", strings.Join(args[:2], " "), err, firstLine(said))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

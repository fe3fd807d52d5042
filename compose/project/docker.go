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
	if !b.Fresh(pluginTarget) {
		why := "docker has no Compose plugin"
		if err == nil {
			why = fmt.Sprintf("docker's Compose plugin %s is older than %d.%d", out, leastMajor, leastMinor)
		}
		say(why + ": building it, once, which takes some minutes")
	}
	if err := b.Build(ctx, pluginTarget, new(build.Progress)); err != nil {
		return nil, fmt.Errorf("docker has no Compose plugin, and it could not be built: %w; see %s, or install it: https://docs.docker.com/compose/install", err, b.Log(pluginTarget))
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

// ask runs a command and returns what it writes, without the space around it.
func ask(ctx context.Context, name string, args ...string) (stdout, stderr string, err error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	return strings.TrimSpace(out.String()), strings.TrimSpace(said.String()), err
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Package kube finds a release of the Helm chart soundcheck on Kubernetes, forwards its ports to this
// machine and reads its logs. All of it is done by the user's kubectl, with the user's permissions:
// any cluster and any way to log in that kubectl knows will do.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/command"
)

// kubectl is the program, and the flags that select a cluster.
type kubectl struct {
	path    string
	context string // of kubectl's configuration; "": the current one
}

func newKubectl(contextName string) (kubectl, error) {
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return kubectl{}, errors.New("kubectl command not found: install it (https://kubernetes.io/docs/tasks/tools), or set all URLs")
	}
	return kubectl{path, contextName}, nil
}

// command returns kubectl with these arguments. When ctx ends it gets a SIGTERM, and a SIGKILL if it
// does not exit.
func (k kubectl) command(ctx context.Context, args ...string) *exec.Cmd {
	if k.context != "" {
		args = append([]string{"--context", k.context}, args...)
	}
	cmd := exec.CommandContext(ctx, k.path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// output runs kubectl and returns its output.
func (k kubectl) output(ctx context.Context, args ...string) ([]byte, error) {
	out, stderr, err := command.Output(ctx, command.Default, func(ctx context.Context) *exec.Cmd { return k.command(ctx, args...) })
	if err != nil && ctx.Err() == nil {
		err = k.explain(args, stderr, err)
	}
	return out, err
}

// A Forbidden error means that the user lacks a permission.
type Forbidden struct{ error }

// Unwrap returns kubectl's error.
func (e Forbidden) Unwrap() error { return e.error }

// errNotFound means that an object does not exist, or no longer.
var errNotFound = errors.New("not found")

// terminated is the last line of kubectl exec, after those of the command that failed.
var terminated = regexp.MustCompile(`^command terminated with exit code \d+\s*$`)

// explain returns an error that names the fix, as far as stderr shows the cause.
func (k kubectl) explain(args []string, stderr string, err error) error {
	lines := strings.Split(stderr, "\n") // the first may be warnings and repeated attempts
	ofCommand := terminated.MatchString(lines[len(lines)-1])
	if ofCommand && len(lines) > 1 {
		lines = lines[:len(lines)-1]
	}
	last := strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "error: ")
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(last), w) {
				return true
			}
		}
		return false
	}
	words := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") }) // such as get services
	run := "kubectl " + strings.Join(args[:max(words, 0)], " ")
	switch {
	case ofCommand: // what it reports is not about the cluster
	case has("forbidden"):
		return Forbidden{fmt.Errorf("no permission (%s): %s", run, last)}
	case has("(notfound)"):
		return fmt.Errorf("%s: %w: %s", run, errNotFound, last)
	case has("context was not found", "no context exists") || has("context") && has("does not exist"):
		return fmt.Errorf("-context: %s: list them with kubectl config get-contexts", last)
	case has("current-context is not set", "no configuration has been provided", "localhost:8080", "invalid configuration"):
		return fmt.Errorf("kubectl has no cluster: start one (make k3d-up), or select one with -context (kubectl config get-contexts): %s", last)
	case has("unauthorized", "must be logged in", "getting credentials"):
		return fmt.Errorf("kubectl is not logged in to the cluster: log in, and try kubectl get pods: %s", last)
	case has("unable to connect", "was refused", "i/o timeout", "no such host", "timed out", "deadline exceeded", "tls handshake timeout"),
		errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the cluster does not respond: start it, or select another with -context (kubectl config get-contexts): %w: %s", err, last)
	}
	return fmt.Errorf("%s: %w: %s", run, err, last)
}

// object is what is read of a service or a pod.
type object struct {
	Metadata struct {
		Name      string
		Namespace string
		Labels    map[string]string
	}
	Spec struct {
		ClusterIP string
		Ports     []struct{ Port int }

		Containers []struct {
			Name string
			Env  []struct{ Name, Value string }
		}
	}
	Status struct {
		ContainerStatuses []container
	}
}

// container is the status of a container.
type container struct {
	Name             string
	State, LastState struct {
		Running    *struct{}
		Terminated *struct{ FinishedAt time.Time }
	}
}

// get lists objects by their labels.
func (k kubectl) get(ctx context.Context, kind, selector string, flags ...string) ([]object, error) {
	b, err := k.output(ctx, append([]string{"get", kind, "--selector", selector, "--output", "json", "--request-timeout", "10s"}, flags...)...)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []object }
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("kubectl get %s printed %.200q, which is not the expected JSON: %w", kind, b, err)
	}
	return list.Items, nil
}

package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/command"
	"soundcheck/lab/proc"
)

// Load is the component whose ConfigMap has what load from this cluster needs: see LoadDefaults.
const Load = "load"

// LoadDefaults returns what the lab's release says about load from its cluster: image, url, jaeger, otlp.
func (r *Release) LoadDefaults(ctx context.Context) (map[string]string, error) {
	b, err := r.output(ctx, "get", "configmaps", "--namespace", r.Namespace, "--selector", r.selector(Load), "--output", "json", "--request-timeout", "10s")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct{ Data map[string]string }
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("kubectl get configmaps printed %.200q, which is not the expected JSON: %w", b, err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("release %s in namespace %s is of an older chart, without defaults for load: upgrade it (make k8s-up), or set -image and -url", r.Name, r.Namespace)
	}
	return list.Items[0].Data, nil
}

// PodList returns the pods of a component as kubectl's JSON.
func (r *Release) PodList(ctx context.Context, component string) ([]byte, error) {
	return r.output(ctx, "get", "pods", "--namespace", r.Namespace, "--selector", r.selector(component), "--output", "json", "--request-timeout", "10s")
}

// LogTail returns the end of the log of a component's pods.
func (r *Release) LogTail(ctx context.Context, component string) (string, error) {
	b, err := r.output(ctx, "logs", "--namespace", r.Namespace, "--selector", r.selector(component), "--tail", "20")
	return strings.TrimSpace(string(b)), err
}

// Namespace returns the namespace of a context of kubectl's configuration.
func Namespace(ctx context.Context, contextName string) (string, error) {
	k, err := newKubectl(contextName)
	if err != nil {
		return "", err
	}
	b, err := k.output(ctx, "config", "view", "--minify", "--output", "jsonpath={..namespace}")
	return cmp.Or(strings.TrimSpace(string(b)), "default"), err
}

// errNoHelm means that helm is not installed.
var errNoHelm = errors.New("helm command not found: install it (https://helm.sh/docs/intro/install)")

// Installed returns an error if kubectl or helm is not installed.
func Installed() error {
	if _, err := exec.LookPath("kubectl"); err != nil {
		return errors.New("kubectl command not found: install it (https://kubernetes.io/docs/tasks/tools)")
	}
	if _, err := exec.LookPath("helm"); err != nil {
		return errNoHelm
	}
	return nil
}

// Helm runs helm with arguments, in the context and the namespace of o. Input is its stdin.
func Helm(ctx context.Context, o Options, input io.Reader, args ...string) error {
	path, err := exec.LookPath("helm")
	if err != nil {
		return errNoHelm
	}
	if o.Context != "" {
		args = append(args, "--kube-context", o.Context)
	}
	args = append(args, "--namespace", o.Namespace)
	_, stderr, err := command.Output(ctx, command.Limits{Time: helmTimeout, Output: command.Default.Output}, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Stdin = input
		cmd.SysProcAttr = proc.Group() // Ctrl-C must not end it in the middle
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		return cmd
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("helm %s: %w: %s", args[0], err, strings.TrimPrefix(strings.TrimSpace(stderr), "Error: "))
	}
	return err
}

const helmTimeout = 2 * time.Minute

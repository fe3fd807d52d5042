// Package cluster installs a release of the chart with kubectl and helm, and explains what fails.
package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
)

// Release is a release of the chart, existing or not, in a cluster.
type Release struct {
	Name, Namespace string
	Context         string // of kubectl; empty: the current one, until Connect
	Chart           string // its folder
	Progress        *cli.Progress

	server version         // of the cluster, after Connect
	kinds  map[string]bool // that the cluster has, as APIVERSION/KIND
	// components are those of the last rendering; nil: all count.
	components  map[string]bool
	want        int      // pods of Deployments and StatefulSets
	controllers []pod    // those Deployments and StatefulSets
	chartNames  []string // of the chart in labels, after FindNames
}

const componentLabel = "app.kubernetes.io/component"

// kubectl runs kubectl in the release's context and returns its output.
func (r *Release) kubectl(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "", "kubectl", append(r.kubectlFlags(), args...)...)
}

func (r *Release) kubectlFlags() []string {
	if r.Context == "" {
		return nil
	}
	return []string{"--context", r.Context}
}

// get decodes what kubectl get -o json prints.
func (r *Release) get(ctx context.Context, v any, args ...string) error {
	out, err := r.kubectl(ctx, append(append([]string{"get"}, args...), "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), v)
}

func (r *Release) helmFlags() []string {
	flags := []string{"--namespace", r.Namespace}
	if r.Context != "" {
		flags = append(flags, "--kube-context", r.Context)
	}
	return flags
}

func (r *Release) helm(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "", "helm", append(args, r.helmFlags()...)...)
}

// selector selects the chart's resources of the release, of which it may be a dependency: those of other
// charts have the same app.kubernetes.io/instance.
func (r *Release) selector() string { return r.instance() + ",app.kubernetes.io/part-of=soundcheck" }

// instance selects the release's resources, those of all its charts.
func (r *Release) instance() string { return "app.kubernetes.io/instance=" + r.Name }

// Selector selects the resources of a component.
func (r *Release) Selector(component string) string {
	return r.selector() + "," + componentLabel + "=" + component
}

// Kubectl returns a kubectl command for this release, to be shown.
func (r *Release) Kubectl(args string) string {
	parts := slices.Concat([]string{"kubectl"}, r.kubectlFlags(), []string{"-n", r.Namespace, args})
	return strings.Join(parts, " ")
}

// Helm returns a helm command for this release, to be shown.
func (r *Release) Helm(args string) string {
	return "helm " + args + " " + strings.Join(r.helmFlags(), " ")
}

// commandTimeout is the timeout of a call that only reads.
const commandTimeout = 30 * time.Second

// failed is a command that failed, with what it printed.
type failed struct {
	program string
	stderr  string
	err     error
}

func (e *failed) Error() string {
	if text := lastLine(e.stderr); text != "" {
		return e.program + ": " + text
	}
	return fmt.Sprintf("%s: %v", e.program, e.err)
}

func (e *failed) Unwrap() error { return e.err }

// stderr returns what a failed command printed.
func stderr(err error) string {
	var f *failed
	if errors.As(err, &f) {
		return f.stderr
	}
	return ""
}

// run runs a short command.
func run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(limited, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limited.Err() != nil:
		return "", &failed{name, fmt.Sprintf("no response within %s", commandTimeout), limited.Err()}
	case err != nil:
		return out.String(), &failed{name, strings.TrimSpace(errs.String()), err}
	}
	return out.String(), nil
}

// lastLine returns the error of kubectl and helm in what they print, without their prefix: from the last line
// that has one, because the API server's messages can have many lines, or else the last line.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range slices.Backward(lines) {
		for _, prefix := range []string{"Error: ", "error: ", "Error from server (Forbidden): ", "Error from server: "} {
			if first, found := strings.CutPrefix(line, prefix); found {
				return oneLine(first + "\n" + strings.Join(lines[i+1:], "\n"))
			}
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// version is the major and minor version of a program.
type version struct{ major, minor int }

// parseVersion parses v1.37.2, v4.3.1+g123 and v1.33.4+k3s1.
func parseVersion(text string) (v version, ok bool) {
	n, _ := fmt.Sscanf(strings.TrimPrefix(strings.TrimSpace(text), "v"), "%d.%d", &v.major, &v.minor)
	return v, n == 2
}

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// Oldest versions that work. The chart's kubeVersion says the last one, too.
var (
	minKubectl = version{1, 27}
	minHelm    = version{3, 18}
	minServer  = version{1, 30}
)

// Connect checks kubectl, helm, the context and the cluster. It changes nothing.
func (r *Release) Connect(ctx context.Context) error {
	if err := errors.Join(checkKubectl(ctx), checkHelm(ctx)); err != nil {
		return err
	}
	if err := r.checkContext(ctx); err != nil {
		return err
	}
	if err := r.checkServer(ctx); err != nil {
		return err
	}
	return r.findKinds(ctx)
}

// findKinds asks which types of resources the cluster has.
func (r *Release) findKinds(ctx context.Context) error {
	out, err := r.kubectl(ctx, "api-resources", "--no-headers")
	if err != nil && out == "" {
		return err
	} // else an aggregated API is down, and the others are listed
	r.kinds = map[string]bool{}
	for line := range strings.Lines(out) {
		// NAME SHORTNAMES APIVERSION NAMESPACED KIND, and the second one may be missing.
		if f := strings.Fields(line); len(f) >= 4 {
			r.kinds[f[len(f)-3]+"/"+f[len(f)-1]] = true
		}
	}
	return nil
}

func checkKubectl(ctx context.Context) error {
	const fix = "install kubectl: https://kubernetes.io/docs/tasks/tools"
	out, err := run(ctx, "", "kubectl", "version", "--client", "-o", "json")
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("kubectl command not found: " + fix + " (MicroK8s: sudo snap alias microk8s.kubectl kubectl)")
	}
	if err != nil {
		return err
	}
	var answer struct{ ClientVersion struct{ GitVersion string } }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return fmt.Errorf("kubectl version: %w", err)
	}
	return atLeast("kubectl", answer.ClientVersion.GitVersion, minKubectl, fix)
}

func checkHelm(ctx context.Context) error {
	const fix = "install Helm 4, or 3.18 or later: https://helm.sh/docs/intro/install"
	out, err := run(ctx, "", "helm", "version", "--template", "{{.Version}}")
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("helm command not found: " + fix)
	}
	if err != nil {
		return err
	}
	return atLeast("helm", out, minHelm, fix)
}

// atLeast accepts what is not a version, such as a build of a developer.
func atLeast(name, text string, oldest version, fix string) error {
	if v, ok := parseVersion(text); ok && v.less(oldest) {
		return fmt.Errorf("%s %s is older than %s: %s", name, strings.TrimSpace(text), oldest, fix)
	}
	return nil
}

func (r *Release) checkContext(ctx context.Context) error {
	out, err := run(ctx, "", "kubectl", "config", "get-contexts", "-o", "name")
	if err != nil {
		return err
	}
	names := strings.Fields(out)
	if r.Context != "" {
		if !slices.Contains(names, r.Context) {
			return fmt.Errorf("-context %q is not in your kubeconfig: %s", r.Context, oneOf(names))
		}
		return nil
	}
	out, err = run(ctx, "", "kubectl", "config", "current-context")
	if r.Context = strings.TrimSpace(out); err == nil && r.Context != "" {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(names) == 0 {
		return errors.New("no cluster in your kubeconfig: create one (make k3d-up), or set KUBECONFIG (MicroK8s: microk8s config >~/.kube/config)")
	}
	return fmt.Errorf("no current context: choose one with -context or kubectl config use-context: %s", strings.Join(names, ", "))
}

// oneOf offers names.
func oneOf(names []string) string {
	if len(names) == 0 {
		return "there is none"
	}
	return "there is " + strings.Join(names, ", ")
}

func (r *Release) checkServer(ctx context.Context) error {
	out, err := r.kubectl(ctx, "version", "-o", "json", "--request-timeout", "10s")
	if err != nil {
		return r.unreachable(ctx, err)
	}
	var answer struct{ ServerVersion struct{ GitVersion string } }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return fmt.Errorf("kubectl version: %w", err)
	}
	v, ok := parseVersion(answer.ServerVersion.GitVersion)
	if !ok {
		return fmt.Errorf("the cluster of context %s reports version %q", r.Context, answer.ServerVersion.GitVersion)
	}
	r.server = v
	if v.less(minServer) {
		return fmt.Errorf("the cluster of context %s runs Kubernetes %s, older than %s: upgrade it, or choose another one with -context", r.Context, v, minServer)
	}
	return nil
}

// unreachable adds the fix to an error of the first call of the cluster.
func (r *Release) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := stderr(err)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	fix := "choose another one with -context"
	switch {
	case has("nauthorized", "must be logged in", "the server has asked for the client to provide credentials"):
		fix = "log in again, as your provider's documentation says"
	case has("x509", "certificate"):
		fix = "its certificate is not the one in your kubeconfig: get the kubeconfig again (k3d kubeconfig merge, microk8s config)"
	case has("connection refused", "no such host", "i/o timeout", "no response", "no route to host", "deadline"):
		fix = "start it (k3d cluster start, microk8s start), or choose another one with -context"
	}
	return fmt.Errorf("the cluster of context %s is unreachable: %s (%s)", r.Context, fix, lastLine(text))
}

// kubectlInput runs kubectl with input.
func (r *Release) kubectlInput(ctx context.Context, stdin string, args ...string) (string, error) {
	return run(ctx, stdin, "kubectl", append(r.kubectlFlags(), args...)...)
}

// list is a list of resources, as JSON.
type list[T any] struct{ Items []T }

// Meta is the metadata that we read.
type Meta struct {
	Name, UID         string
	Labels            map[string]string
	Annotations       map[string]string
	Generation        int64
	DeletionTimestamp *time.Time
	OwnerReferences   []struct{ Kind, Name string }
}

// logTail prints the last lines of a container's log. Previous: those before its restart.
func (r *Release) logTail(ctx context.Context, w io.Writer, pod, container string, previous bool) {
	args := []string{"logs", "-n", r.Namespace, pod, "-c", container, "--tail", "15"}
	if previous {
		args = append(args, "--previous")
	}
	out, err := r.kubectl(ctx, args...)
	if err != nil || strings.TrimSpace(out) == "" {
		return
	}
	fmt.Fprintf(w, "last log lines of %s:\n", pod)
	for line := range strings.Lines(strings.TrimRight(out, "\n") + "\n") {
		fmt.Fprint(w, "  ", line)
	}
}

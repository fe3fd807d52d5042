package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	chart = "../../charts/soundcheck"
	// ready is the max wait for a release: a cluster that is busy with something else is slow, not broken.
	ready = "5m"
)

var (
	programs string        // folder of lab and loadgen
	service  = "ClusterIP" // type of the Services
	host     = ""          // of a node; "" if the addresses of Services are reachable
	only     = []string{"--set", "grafana.enabled=false,loki.enabled=false"}
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("SOUNDCHECK_K8S") == "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "cluster")
		if err == nil {
			defer os.RemoveAll(dir)
			err = prepare(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// prepare builds the programs, and finds out how Services are reached.
func prepare(dir string) error {
	programs = dir
	build := exec.Command("go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-o", dir+"/", "./lab", "./loadgen")
	build.Dir = "../../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build lab and loadgen: %w\n%s", err, out)
	}
	ctx := context.Background()
	api, err := output(ctx, "kubectl", "get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	if reachable(net.JoinHostPort(api, "443")) {
		return nil
	}
	service = "NodePort"
	if host, err = output(ctx, "kubectl", "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`); err != nil {
		return err
	}
	if !reachable(net.JoinHostPort(host, "10250")) {
		return fmt.Errorf("neither the Service kubernetes (%s:443) nor the node (%s:10250) is reachable: run the tests on a node", api, host)
	}
	return nil
}

func reachable(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, 3*time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// output runs a command. The error has its output.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	text := strings.TrimSpace(string(out))
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			text += "\n" + strings.TrimSpace(string(exit.Stderr))
		}
		return text, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}

// release is a release of the chart in a namespace of its own.
type release struct {
	testing.TB
	helm      string // program
	chart     string // folder
	namespace string
	values    []string // arguments of every install and upgrade

	asked, askedUnsure int // successful and failed requests of ask
}

// newRelease creates the namespace, and deletes it after the test.
func newRelease(t testing.TB, name string, values ...string) *release {
	t.Helper()
	if os.Getenv("SOUNDCHECK_K8S") == "" {
		t.Skip("needs a cluster: set SOUNDCHECK_K8S=1")
	}
	r := &release{TB: t, helm: "helm", chart: chart, namespace: "ct-" + name}
	for _, file := range filepath.SplitList(os.Getenv("SOUNDCHECK_K8S_VALUES")) {
		r.values = append(r.values, "--values", file)
	}
	r.values = append(append(r.values, only...), "--set", "service.type="+service)
	for _, v := range values {
		r.values = append(r.values, "--set", v)
	}
	drop := func(wait string) {
		_, err := output(context.Background(), "kubectl", "delete", "namespace", r.namespace, "--ignore-not-found", wait)
		if err != nil {
			t.Error(err)
		}
	}
	drop("--timeout=3m")
	r.must("kubectl", "create", "namespace", r.namespace)
	r.must("kubectl", "label", "namespace", r.namespace, "pod-security.kubernetes.io/enforce=restricted")
	t.Cleanup(func() {
		if t.Failed() {
			r.dump()
		}
		drop("--wait=false")
	})
	return r
}

// must runs a command to its end.
func (r *release) must(name string, args ...string) string {
	r.Helper()
	out, err := output(r.Context(), name, args...)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

func (r *release) kubectl(args ...string) string {
	r.Helper()
	return r.must("kubectl", append([]string{"-n", r.namespace}, args...)...)
}

// run runs helm for the release.
func (r *release) run(command string, args ...string) (string, error) {
	all := []string{command, "lab"}
	if command == "install" || command == "upgrade" {
		all = append(append(all, r.chart), r.values...)
		all = append(all, "--wait", "--timeout", ready)
		// Without it, Helm waits for no Job.
		all = append(all, "--wait-for-jobs")
	}
	return output(r.Context(), r.helm, append(append(all, "-n", r.namespace), args...)...)
}

// do runs helm for the release, which must succeed, and logs how long it took.
func (r *release) do(command string, args ...string) string {
	r.Helper()
	start := time.Now()
	out, err := r.run(command, args...)
	if err != nil {
		r.Fatal(err)
	}
	r.Logf("%s %s: %.1f s", r.helm, command, time.Since(start).Seconds())
	if command == "install" {
		// The addresses of Services refuse connections for a moment after their pods are ready.
		r.await("a response of the proxy", func() bool {
			return r.ask("http://" + r.address("proxy-service", "http"))
		})
	}
	return out
}

// ask reports whether a proxy responds with albums, and counts the request.
func (r *release) ask(url string) bool {
	resp, err := client.Get(url + "/albums?limit=1")
	if err != nil {
		r.askedUnsure++
		return false
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r.askedUnsure++
		return false
	}
	r.asked++
	return true
}

// address is the host and port of a Service.
func (r *release) address(component, port string) string {
	r.Helper()
	name := "lab-soundcheck-" + component
	if host != "" {
		return net.JoinHostPort(host, r.kubectl("get", "service", name, "-o", fmt.Sprintf("jsonpath={.spec.ports[?(@.name==%q)].nodePort}", port)))
	}
	return strings.Replace(r.kubectl("get", "service", name, "-o", fmt.Sprintf("jsonpath={.spec.clusterIP} {.spec.ports[?(@.name==%q)].port}", port)), " ", ":", 1)
}

// await waits until a condition is met.
func (r *release) await(what string, met func() bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 4*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-ctx.Done():
			r.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// pods are the names of a component's pods that run and do not end.
func (r *release) pods(component string) []string {
	r.Helper()
	out := r.kubectl("get", "pods", "-l", "app.kubernetes.io/component="+component, "--field-selector=status.phase=Running",
		"-o", `go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}`)
	return strings.Fields(out)
}

// dump prints what helps to understand a failure.
func (r *release) dump() {
	ctx := context.Background()
	for _, args := range [][]string{
		{"get", "pods,jobs,pvc", "-o", "wide"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "-l", "app.kubernetes.io/part-of=soundcheck", "--all-containers", "--prefix", "--tail=8", "--ignore-errors", "--max-log-requests=50"},
	} {
		out, err := output(ctx, "kubectl", append([]string{"-n", r.namespace}, args...)...)
		r.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, tail(out, 40))
	}
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

package debugging

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// lab is the release on the cluster.
type lab struct {
	chart, namespace, root string
	install                []string // command that installs it, or resets its values
	traceID                string   // from the last list of exemplars
}

// Each entry of the page: inject the fault, run the commands, see the symptom, apply the fix, see that it works.
func TestCluster(t *testing.T) {
	if os.Getenv("SOUNDCHECK_K8S") != "1" {
		t.Skip("set SOUNDCHECK_K8S=1, and SOUNDCHECK_K8S_VALUES to the absolute paths of files with values for this cluster, separated as PATH is")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{root: root, chart: filepath.Join(root, "deploy", "charts", "soundcheck"), namespace: fmt.Sprintf("dbg-%d", os.Getpid())}
	l.install = []string{"helm", "upgrade", "--install", "soundcheck", l.chart, "-n", l.namespace, "--create-namespace", "--reset-values", "--wait", "--timeout", "5m",
		"--set", "console.enabled=false,grafana.enabled=false,loki.enabled=false",
		"--set", "collector.persistence.enabled=false,jaeger.persistence.enabled=false,prometheus.persistence.enabled=false"}
	for _, file := range filepath.SplitList(os.Getenv("SOUNDCHECK_K8S_VALUES")) {
		l.install = append(l.install, "-f", file)
	}
	t.Cleanup(func() {
		_, _ = l.run(context.Background(), "kubectl", "delete", "namespace", l.namespace, "--ignore-not-found", "--wait=false")
	})
	l.must(t, l.install...)
	for _, e := range entries(t) {
		t.Run(e.Title, func(t *testing.T) {
			f := faults[e.Title]
			defer func() {
				if f.reset || t.Failed() {
					l.reset(t)
				}
			}()
			f.inject(t, l)
			output := ""
			l.eventually(t, "the symptom", func() bool {
				output = l.block(t, e.Commands, false)
				return len(e.Missing(output)) == 0
			}, func() { t.Logf("missing: %q\n%s", e.Missing(output), output) })
			t.Log(found(e, output))
			l.block(t, e.Fix, true)
			l.ready(t)
			if f.well != nil {
				f.well(t, l)
				return
			}
			l.eventually(t, "the end of the symptom", func() bool {
				output = l.block(t, e.Commands, false)
				return len(e.Present(output)) == 0
			}, func() { t.Logf("still there: %q\n%s", e.Present(output), output) })
		})
	}
}

// found are the lines of an output that show the symptom.
func found(e Entry, output string) string {
	var b strings.Builder
	for _, s := range e.Symptom {
		for line := range strings.SplitSeq(output, "\n") {
			if pattern(s).MatchString(line) {
				b.WriteString(line + "\n")
				break
			}
		}
	}
	return b.String()
}

// reset gives the release its first values. A StatefulSet's volumes cannot be changed: Jaeger's is replaced.
func (l *lab) reset(t *testing.T) {
	l.must(t, "kubectl", "-n", l.namespace, "delete", "statefulset/soundcheck-jaeger", "service/other", "--ignore-not-found")
	l.must(t, append(l.install, "--force-conflicts")...)
}

// block runs commands of the page. A command that forwards ports runs until the block ends.
func (l *lab) block(t *testing.T, commands []string, must bool) string {
	ctx, cancel := context.WithCancel(t.Context())
	var forwards sync.WaitGroup
	defer forwards.Wait()
	defer cancel()
	var all strings.Builder
	for _, c := range commands {
		words, err := split(l.replace(c))
		if err != nil {
			t.Fatal(err)
		}
		var output string
		if slices.Contains(words, "port-forward") {
			output, err = forward(ctx, &forwards, words)
		} else {
			output, err = l.run(ctx, words...)
		}
		if err != nil && must {
			t.Fatalf("%s: %v\n%s", c, err, output)
		}
		if m := regexp.MustCompile(`"trace_id":"([0-9a-f]{32})"`).FindStringSubmatch(output); m != nil {
			l.traceID = m[1]
		}
		all.WriteString(output + "\n")
	}
	return all.String()
}

// replace gives a command of the page the names of this test.
func (l *lab) replace(c string) string {
	program := "go run ./lab "
	if p := os.Getenv("SOUNDCHECK_LAB"); p != "" {
		program = p + " "
	}
	now := time.Now()
	return strings.NewReplacer(
		"-n soundcheck ", "-n "+l.namespace+" ",
		"/namespaces/soundcheck/", "/namespaces/"+l.namespace+"/",
		"deploy/charts/soundcheck", l.chart,
		"go run ./lab ", program,
		"START", fmt.Sprint(now.Add(-10*time.Minute).Unix()),
		"END", fmt.Sprint(now.Unix()),
		"TRACE_ID", l.traceID,
	).Replace(c)
}

// run returns what a command prints.
func (l *lab) run(ctx context.Context, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = l.root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run, for commands that cannot fail.
func (l *lab) must(t *testing.T, words ...string) string {
	t.Helper()
	out, err := l.run(context.Background(), words...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return out
}

// ready waits until every pod runs and is the latest.
func (l *lab) ready(t *testing.T) {
	t.Helper()
	for name := range strings.FieldsSeq(l.must(t, "kubectl", "-n", l.namespace, "get", "deployments,statefulsets", "-o", "name")) {
		l.must(t, "kubectl", "-n", l.namespace, "rollout", "status", name, "--timeout=180s")
	}
}

// eventually waits until a condition is true, for 3 minutes.
func (l *lab) eventually(t *testing.T, what string, ok func() bool, explain ...func()) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(poll) {
		if time.Now().After(end) {
			for _, e := range explain {
				e()
			}
			t.Fatalf("no %s within 3 minutes", what)
		}
	}
}

// service is a path of a Service, through the API server.
func (l *lab) service(name, path string) (string, error) {
	return l.run(context.Background(), "kubectl", "get", "--raw", "/api/v1/namespaces/"+l.namespace+"/services/"+name+"/proxy/"+path)
}

// requests makes traces and exemplars.
func (l *lab) requests(t *testing.T) {
	t.Helper()
	l.eventually(t, "response of the proxy", func() bool {
		_, err := l.service("soundcheck-proxy-service:9070", "albums")
		return err == nil
	})
}

// trace is the trace id of an exemplar of the store that Jaeger has, or "".
func (l *lab) trace() string {
	now := time.Now()
	out, _ := l.service("soundcheck-prometheus:9090", fmt.Sprintf(
		`api/v1/query_exemplars?query=http_server_request_duration_seconds%%7Bservice_name=%%22album-store%%22%%7D&start=%d&end=%d`, now.Add(-10*time.Minute).Unix(), now.Unix()))
	for _, m := range regexp.MustCompile(`"trace_id":"([0-9a-f]{32})"`).FindAllStringSubmatch(out, -1) {
		if l.stored(m[1]) {
			return m[1]
		}
	}
	return ""
}

func (l *lab) stored(id string) bool {
	out, err := l.service("soundcheck-jaeger:16696", "api/traces/"+id)
	return err == nil && strings.Contains(out, id)
}

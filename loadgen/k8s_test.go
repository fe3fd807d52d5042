package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/kubernetes/kubetest"
	"soundcheck/loadgen/report"
)

// installed are the chart's values.
type installed struct {
	Image    struct{ Repository, Tag, Digest string }
	Workers  int
	Capacity bool
	Args     []string
	Token    string
	Files    map[string]string
	Secrets  map[string]string `json:"secretEnv"`
	OTLP     struct{ Endpoint string }
}

// onCluster does as the chart, once it is installed: it runs a coordinator and workers with its values, in this
// process. Those are returned by what onCluster returns, when all have ended.
func onCluster(t *testing.T, c *kubetest.Cluster) func() installed {
	t.Helper()
	var v installed
	var all sync.WaitGroup
	all.Go(func() {
		values := c.Wait("values")
		if values == "" {
			return
		}
		if err := json.Unmarshal([]byte(values), &v); err != nil {
			t.Error(err)
			return
		}
		args := []string{"coordinate"}
		if v.Capacity {
			args = append(args, "capacity")
		}
		args = append(args, "-workers="+strconv.Itoa(v.Workers), "-listen=127.0.0.1:0")
		r, w := io.Pipe()
		var log bytes.Buffer
		ended := make(chan int, 1)
		all.Go(func() {
			dir := folder(t, v.Files)
			env := map[string]string{tokenVariable: v.Token}
			for name, value := range v.Secrets {
				env[name] = strings.Replace(value, "@", "@"+dir+"/", 1)
			}
			err := run(t.Context(), append(args, inFolder(v.Args, v.Files, dir)...), func(name string) string { return env[name] }, io.Discard, w)
			ended <- cli.Code("loadgen", w, err)
			w.Close()
		})
		for lines := bufio.NewScanner(io.TeeReader(r, &log)); lines.Scan(); {
			address, ok := strings.CutPrefix(lines.Text(), "listening on ")
			if !ok {
				continue
			}
			address, _, _ = strings.Cut(address, " ")
			c.Pod(`{"phase":"Running"}`)
			c.Write("target", address)
			for i := range v.Workers {
				env := map[string]string{tokenVariable: v.Token, "JOB_COMPLETION_INDEX": strconv.Itoa(i)}
				all.Go(func() {
					_ = run(t.Context(), []string{"-join", "http://" + address}, func(name string) string { return env[name] }, io.Discard, io.Discard) // as above
				})
			}
		}
		if code := <-ended; c.Read("services coordinator") != "" { // nobody has followed it
			c.Write("log", log.String())
			c.Pod(fmt.Sprintf(`{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"reason":"Error","exitCode":%d}}}]}`, code))
		}
	})
	return func() installed { all.Wait(); return v }
}

// inFolder are the arguments of a coordinator whose working directory is a folder.
func inFolder(args []string, files map[string]string, folder string) (list []string) {
	for _, arg := range args {
		arg = strings.ReplaceAll(arg, "$$", "$") // as Kubernetes does it
		if flag, value, _ := strings.Cut(arg, "="); files[value] != "" {
			arg = flag + "=" + filepath.Join(folder, value)
		}
		list = append(list, arg)
	}
	return list
}

// newLab returns a cluster with the lab, whose proxy is the target.
func newLab(t *testing.T, url string) *kubetest.Cluster {
	t.Helper()
	c := kubetest.New(t)
	c.Lab("labs", map[string]string{"image": "registry/loadgen:v1", "url": url, "jaeger": "http://jaeger:16686", "otlp": "http://collector:4318"})
	return c
}

// removed checks that the release was installed and removed, in a namespace.
func removed(t *testing.T, c *kubetest.Cluster, namespace string) {
	t.Helper()
	calls := c.Calls("helm")
	if len(calls) != 2 || !strings.HasPrefix(calls[0], "helm install load-2") || !strings.HasPrefix(calls[1], "helm uninstall load-2") ||
		!strings.HasSuffix(calls[0], " --namespace "+namespace) || !strings.HasSuffix(calls[1], " --namespace "+namespace) {
		t.Errorf("calls %q", calls)
	}
}

// A run on the pods of a lab: the coordinator gets the flags, and its report is printed and stored here.
func TestK8s(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	c := newLab(t, tg.URL)
	values := onCluster(t, c)
	out := filepath.Join(t.TempDir(), "run")
	stdout, stderr, code := loadgen(t.Context(), "k8s", "-context", c.Context, "-workers", "2", "-rate", "100", "-duration", "1s", "-format", "json", "-out", out,
		"-slo", "p99<10s,good>1%", "-slo", "p99(get)<10s", "-set", "worker.nodeSelector.pool=x")
	v := values()
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v: exit code %d, %q, %q", err, code, stdout, stderr)
	}
	if code != 0 && (code != 4 || !strings.HasPrefix(stderr, "loadgen: report invalid: ")) || r.Sent != 100 || r.Processes != 2 || len(r.SLOs) != 3 || r.Target != tg.URL {
		t.Errorf("exit code %d, %q, %d sent to %s by %d processes, %v", code, stderr, r.Sent, r.Target, r.Processes, r.SLOs)
	}
	stored, err := os.ReadFile(filepath.Join(out, "report.json"))
	var s report.Report
	if err != nil || json.Unmarshal(stored, &s) != nil || s.RunID != r.RunID || s.Sent != 100 {
		t.Errorf("-out has %q, %v", stored, err)
	}
	want := []string{"-url=" + tg.URL, "-wait=5m0s", "-duration=1s", "-slo=p99<10s,good>1%,p99(get)<10s", "-rate=100", "-explain=false"}
	slices.Sort(want)
	slices.Sort(v.Args)
	if !slices.Equal(v.Args, want) {
		t.Errorf("arguments %q, want %q", v.Args, want)
	}
	if v.Image.Repository != "registry/loadgen" || v.Image.Tag != "v1" || v.Workers != 2 || v.Capacity || len(v.Token) < 20 || v.OTLP.Endpoint != "http://collector:4318" {
		t.Errorf("values %+v", v)
	}
	removed(t, c, "labs")
	if calls := c.Calls("helm install"); len(calls) == 1 && !strings.Contains(calls[0], " --set worker.nodeSelector.pool=x") {
		t.Error(calls)
	}
}

// The exit code and the error are those of the coordinator. Without a lab, the pods are in the context's namespace.
func TestK8sCode(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	})
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"SLO violated":    {[]string{"-slo", "good>99%"}, 3, "loadgen: 1 of 1 SLOs violated\n"},
		"requests failed": {nil, 1, "loadgen: all 50 requests failed or shed\n"},
		"no target":       {[]string{"-url", "http://127.0.0.1:1"}, 1, "reach the target: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t)
			values := onCluster(t, c)
			stdout, stderr, code := loadgen(t.Context(), append([]string{"k8s", "-context", c.Context, "-image", "loadgen", "-url", tg.URL, "-workers", "2", "-rate", "50", "-duration", "1s"}, tc.args...)...)
			values()
			saturated := code == 4 && strings.Contains(stderr, "report invalid: ") // by other tests
			if !saturated && (code != tc.code || !strings.Contains(stderr, tc.want)) || (stdout == "") != (name == "no target") {
				t.Errorf("exit code %d, %q, %q; want %d, %s", code, stderr, stdout, tc.code, tc.want)
			}
			removed(t, c, "mine")
		})
	}
}

// Ctrl-C ends the run, prints the report so far, and removes the release.
func TestK8sInterrupt(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	tg := newTarget(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { interrupt(); next.ServeHTTP(w, r) })
	})
	c := newLab(t, tg.URL)
	values := onCluster(t, c)
	out := filepath.Join(t.TempDir(), "run")
	stdout, stderr, code := loadgen(ctx, "k8s", "-context", c.Context, "-workers", "2", "-rate", "20", "-duration", "10m", "-out", out)
	values()
	if code != 1 || !strings.HasPrefix(stderr, "loadgen: interrupted after ") || !strings.Contains(stdout, "ended early   interrupted") {
		t.Errorf("exit code %d, %q, report\n%s", code, stderr, stdout)
	}
	if _, err := os.Stat(filepath.Join(out, "report.json")); err != nil {
		t.Error(err)
	}
	removed(t, c, "labs")
}

// A release that cannot be removed is an error. The report is printed all the same.
func TestK8sNotRemoved(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	c := newLab(t, tg.URL)
	c.Write("fail helm uninstall", "Error: timed out")
	values := onCluster(t, c)
	stdout, stderr, code := loadgen(t.Context(), "k8s", "-context", c.Context, "-workers", "1", "-rate", "50", "-duration", "1s")
	values()
	if code != 1 && code != 4 || !strings.Contains(stderr, "the release was not removed (helm uninstall load-2") || !strings.Contains(stdout, "50 of 50 planned") {
		t.Errorf("exit code %d, %q, report\n%s", code, stderr, stdout)
	}
}

// A capacity search on pods.
func TestK8sCapacity(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	})
	var c *kubetest.Cluster
	var stdout, stderr string
	var v installed
	var code int
	together(t, func() string {
		c = newLab(t, tg.URL)
		values := onCluster(t, c)
		stdout, stderr, code = loadgen(t.Context(), "k8s", "capacity", "-quiet", "-context", c.Context, "-workers", "2", "-step", "2s", "-warmup", "100ms", "-format", "json", "-slo", "good>99%", "-from", "20")
		if v = values(); code != 4 {
			return ""
		}
		return apart.FindString(stderr)
	})
	var r capacity.Result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 3 || r.Limit != capacity.Lowest || len(r.Steps) != 1 || stderr != "loadgen: no rate met the SLOs\n" {
		t.Errorf("%v: exit code %d, %+v, %s", err, code, r, stderr)
	}
	slices.Sort(v.Args)
	if want := fmt.Sprintf("[-from=20 -slo=good>99%% -step=2s -url=%s -wait=5m0s -warmup=100ms]", tg.URL); !v.Capacity || fmt.Sprint(v.Args) != want {
		t.Errorf("capacity %t, arguments %q, want %s", v.Capacity, v.Args, want)
	}
	removed(t, c, "labs")
}

// A coordinator that has ended unseen, such as one whose flags are wrong, has its exit code and its log.
func TestK8sEnded(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{0: 1, 2: 2, 4: 4, 137: 1} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			c := newLab(t, "http://x")
			c.Write("log", "loadgen: the last lines\n")
			go func() {
				if c.Wait("values") != "" {
					c.Pod(fmt.Sprintf(`{"containerStatuses":[{"state":{"terminated":{"reason":"Error","exitCode":%d}}}]}`, status))
				}
			}()
			stdout, stderr, code := loadgen(t.Context(), "k8s", "-context", c.Context, "-workers", "2")
			if code != want || stdout != "" || !strings.HasSuffix(stderr, fmt.Sprintf(": Error, exit code %d\nloadgen: the last lines\n", status)) {
				t.Errorf("exit code %d, %q, %q; want %d", code, stderr, stdout, want)
			}
			removed(t, c, "labs")
		})
	}
}

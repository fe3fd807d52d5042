package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/deploy/charts"
	"soundcheck/lab/kube"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/kubernetes/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m.Run)) }

const token = "token of a test"

// test is a run on a cluster of a test.
type test struct {
	Run
	*kubetest.Cluster

	mu       sync.Mutex
	messages []string
	lines    []string
	shown    []string
}

func newTest(t *testing.T) *test {
	t.Helper()
	tt := &test{Cluster: kubetest.New(t)}
	add := func(list *[]string) func(string) {
		return func(text string) {
			tt.mu.Lock()
			defer tt.mu.Unlock()
			*list = append(*list, text)
		}
	}
	tt.Run = Run{Options: kube.Options{Context: tt.Context, Namespace: "a", Release: "load-1"}, Token: token, Line: add(&tt.lines), Show: add(&tt.shown)}
	tt.Follow = func(b []byte) (bool, error) {
		add(&tt.messages)(string(b))
		if strings.Contains(string(b), "error") {
			return false, errors.New("a message without a meaning")
		}
		return strings.Contains(string(b), "last"), nil
	}
	return tt
}

// coordinate serves a coordinator in the cluster, which runs when the chart is installed.
func (tt *test) coordinate(t *testing.T, run func(c *cluster.Coordinator)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := cluster.NewCoordinator(1, token)
	c.Serve(l)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if tt.Wait("values") != "" {
			tt.Pod(`{"phase":"Running"}`)
			tt.Write("target", l.Addr().String())
			run(c)
		}
	}()
	t.Cleanup(func() { <-ended; c.Close(nil) })
}

// uninstalled checks that the release was removed, and once.
func (tt *test) uninstalled(t *testing.T) {
	t.Helper()
	const want = "helm uninstall load-1 --cascade foreground --ignore-not-found --namespace a"
	if calls := tt.Calls("helm uninstall"); !slices.Equal(calls, []string{want}) || tt.Read("services coordinator") != "" {
		t.Errorf("%q, want %q", calls, want)
	}
}

// A run installs the chart with its values on stdin, follows the messages, and removes the release.
func TestDo(t *testing.T) {
	t.Parallel()
	tt := newTest(t)
	tt.Files, tt.Sets = []string{"mine.yaml", "more.yaml"}, []string{"coordinator.nodeSelector.pool=x"}
	tt.coordinate(t, func(c *cluster.Coordinator) {
		_ = c.Finish("last") // when the watcher is there, it gets only that
	})
	if err := tt.Do(t.Context(), []byte(`{"workers":2}`)); err != nil {
		t.Fatal(err)
	}
	if tt.Read("values") != `{"workers":2}` || !slices.Equal(tt.messages, []string{`"last"`}) {
		t.Errorf("values %s, messages %q", tt.Read("values"), tt.messages)
	}
	want := "helm install load-1 DIR/soundcheck-load --values - --values mine.yaml --values more.yaml --set coordinator.nodeSelector.pool=x --namespace a"
	if calls := tt.Calls("helm install"); !slices.Equal(calls, []string{want}) {
		t.Errorf("%q, want %q", calls, want)
	}
	files := []string{}
	err := fs.WalkDir(charts.Load, "soundcheck-load", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, "soundcheck-load/"))
		}
		return err
	})
	if got := strings.Fields(tt.Read("chart")); err != nil || !slices.Equal(got, files) {
		t.Errorf("the chart has %q, want %q, %v", got, files, err)
	}
	tt.uninstalled(t)
	if strings.Contains(tt.Read("calls"), token) {
		t.Error("the token is an argument, which every user of the machine can read")
	}
}

// An interrupt stops the coordinator. Its last message arrives.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	tt := newTest(t)
	tt.Workers, tt.StopExtent = 1000, cluster.StopExtent(1000)
	tt.coordinate(t, func(c *cluster.Coordinator) {
		stopped := make(chan struct{})
		c.OnStop(sync.OnceFunc(func() { close(stopped) }))
		for {
			_ = c.Publish("running")
			select {
			case <-stopped:
				_ = c.Finish("last")
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	follow := tt.Follow
	tt.Follow = func(b []byte) (bool, error) {
		interrupt()
		return follow(b)
	}
	if err := tt.Do(ctx, []byte("{}")); err != nil {
		t.Error(err)
	}
	if n := len(tt.messages); n < 2 || tt.messages[n-1] != `"last"` || !slices.Equal(tt.shown, []string{"stopping: waits up to 43 s for the reports of 1000 workers", "removing release load-1"}) {
		t.Errorf("%d messages, shown %q", n, tt.shown)
	}
	tt.uninstalled(t)
}

// An interrupt before there is a coordinator ends the run at once.
func TestInterruptEarly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(tt *test, interrupt func())
		want    string
	}{
		"in the installation": {func(tt *test, interrupt func()) {
			tt.Write("wait helm install", "yes")
			go func() {
				tt.Wait("waits helm install")
				interrupt()
			}()
		}, "interrupted before the start"},
		"before the pod runs": {func(tt *test, interrupt func()) {
			tt.Line = func(line string) {
				if strings.Contains(line, "no node fits") {
					interrupt()
				}
			}
			go func() {
				if tt.Wait("values") != "" {
					tt.Pod(`{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","message":"no node fits"}]}`)
				}
			}()
		}, "interrupted before the start: pod load-1-coordinator-abcde: Pending: no node fits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			tt := newTest(t)
			tc.prepare(tt, interrupt)
			if err := tt.Do(ctx, []byte("{}")); err == nil || err.Error() != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
			tt.uninstalled(t)
		})
	}
}

// A connection that breaks, in the middle of a message too, is renewed. A server in between that has an error is
// no coordinator.
func TestBroken(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			fmt.Fprintf(w, "\"first\"\n\"half of la")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 2:
			http.Error(w, "no backend", http.StatusBadGateway)
		case 3:
			fmt.Fprint(w, "\"second\"\n")
		default:
			fmt.Fprint(w, "\"last\"\n")
		}
	}))
	defer server.Close()
	tt := newTest(t)
	tt.Write("target", server.Listener.Addr().String())
	if err := tt.Do(t.Context(), []byte("{}")); err != nil {
		t.Error(err)
	}
	if want := []string{`"first"`, `"second"`, `"last"`}; !slices.Equal(tt.messages, want) {
		t.Errorf("%q, want %q", tt.messages, want)
	}
	tt.uninstalled(t)
}

// What ends a run without its last message. The release is removed.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, tt *test)
		want    string
	}{
		"helm cannot install": {func(_ *testing.T, tt *test) { tt.Write("fail helm install", "Error: INSTALLATION FAILED: no quota") }, "helm install: exit status 1: INSTALLATION FAILED: no quota"},
		"no coordinator":      {func(_ *testing.T, tt *test) { tt.Write("fail kubectl get services", "error: disk full") }, "kubectl get services: exit status 1: disk full"},
		"no permission": {func(_ *testing.T, tt *test) {
			tt.Write("fail kubectl port-forward", `Error from server (Forbidden): pods is forbidden: User "me" cannot create resource "pods/portforward"`)
		}, "forward port 7070 of coordinator: no permission (kubectl port-forward): "},
		"another token": {func(t *testing.T, tt *test) {
			tt.Token = "another"
			tt.coordinate(t, func(*cluster.Coordinator) {})
		}, "the coordinator responded 401 Unauthorized: wrong token"},
		"a message without a meaning": {func(t *testing.T, tt *test) {
			tt.coordinate(t, func(c *cluster.Coordinator) { _ = c.Finish("error") })
		}, "a message without a meaning"},
		"a coordinator that has ended": {func(_ *testing.T, tt *test) {
			tt.Write("log", "loadgen: -rate 0 (closed model) is for one process\n")
			go func() {
				if tt.Wait("values") != "" {
					tt.Pod(`{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"reason":"Error","exitCode":2}}}]}`)
				}
			}()
		}, "the coordinator has ended: pod load-1-coordinator-abcde: Error, exit code 2\nloadgen: -rate 0 (closed model) is for one process"},
		"helm cannot uninstall": {func(t *testing.T, tt *test) {
			tt.coordinate(t, func(c *cluster.Coordinator) { _ = c.Finish("last") })
			tt.Write("fail helm uninstall", "Error: timed out")
		}, "the release was not removed (helm uninstall load-1 --namespace a): helm uninstall: exit status 1: timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt := newTest(t)
			tc.prepare(t, tt)
			if err := tt.Do(t.Context(), []byte("{}")); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
			if len(tt.Calls("helm uninstall")) != 1 {
				t.Errorf("calls %q", tt.Calls("helm"))
			}
		})
	}
}

// While the coordinator does not run, the reason is shown once.
func TestWaiting(t *testing.T) {
	t.Parallel()
	tt := newTest(t)
	go func() {
		if tt.Wait("values") != "" {
			tt.Pod(`{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ErrImagePull","message":"not found"}}}]}`)
		}
	}()
	seen := make(chan struct{})
	line := tt.Line
	tt.Line = func(text string) {
		line(text)
		if strings.Contains(text, "ErrImagePull") {
			close(seen)
		}
	}
	go func() {
		<-seen
		tt.coordinate(t, func(c *cluster.Coordinator) { _ = c.Finish("last") })
	}()
	if err := tt.Do(t.Context(), []byte("{}")); err != nil {
		t.Error(err)
	}
	// Before there is a pod, and before it has its port, kubectl cannot forward.
	tt.lines = slices.DeleteFunc(tt.lines, func(line string) bool { return strings.Contains(line, "unable to forward port") })
	want := []string{"installing release load-1 in namespace a", "waiting for the coordinator: pod load-1-coordinator-abcde: ErrImagePull: not found"}
	if !slices.Equal(tt.lines, want) {
		t.Errorf("lines %q, want %q", tt.lines, want)
	}
}

// Without helm nothing is installed, and nothing to remove.
func TestNoHelm(t *testing.T) {
	tt := newTest(t)
	t.Setenv("PATH", t.TempDir())
	if err := tt.Do(t.Context(), nil); err == nil || !strings.HasPrefix(err.Error(), "kubectl command not found: install it") || len(tt.lines) > 0 {
		t.Errorf("%v, lines %q", err, tt.lines)
	}
	kubetest.Only(t, "kubectl")
	if err := tt.Do(t.Context(), nil); err == nil || err.Error() != "helm command not found: install it (https://helm.sh/docs/intro/install)" || len(tt.lines) > 0 {
		t.Errorf("%v, lines %q", err, tt.lines)
	}
}

// The values of an image's reference.
func TestImage(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"soundcheck/loadgen":                "map[digest: repository:soundcheck/loadgen tag:]",
		"registry:5000/loadgen":             "map[digest: repository:registry:5000/loadgen tag:]",
		"registry:5000/loadgen:v1":          "map[digest: repository:registry:5000/loadgen tag:v1]",
		"registry/loadgen@sha256:0123":      "map[digest:sha256:0123 repository:registry/loadgen tag:]",
		"registry:5000/load:v1@sha256:0123": "map[digest:sha256:0123 repository:registry:5000/load tag:v1]",
	} {
		if got := fmt.Sprint(Image(ref)); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}

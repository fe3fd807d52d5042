package kubernetes

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// apiServer is a Kubernetes API server that lists pods, with a service account for it.
type apiServer struct {
	*Pods
	folder string

	mu      sync.Mutex
	status  int
	body    string
	request string // the last one: method, path with query, token
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{folder: t.TempDir(), status: http.StatusOK}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.request = r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization")
		w.WriteHeader(s.status)
		_, _ = w.Write([]byte(s.body))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of a client that does not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	s.write(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	s.write(t, "token", "first\n")
	var err error
	if s.Pods, err = newPods(server.URL, "load-tests", "x-worker", s.folder); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *apiServer) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *apiServer) respond(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

// podJSON is a pod of the workers' Job, as the API server lists it.
func podJSON(index, metadata, status string) string {
	return fmt.Sprintf(`{"metadata":{"name":"x-worker-%[1]s-abcde","labels":{"batch.kubernetes.io/job-completion-index":%[1]q}%[2]s},"status":{%[3]s}}`, index, metadata, status)
}

const (
	unscheduled = `"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/3 nodes are available: 3 Insufficient cpu."}]`
	noImage     = `"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"x:1\""}}}]`
	creating    = `"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]`
	running     = `"phase":"Running","conditions":[{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"state":{"running":{"startedAt":"2026-01-31T12:00:00Z"}}}]`
	noMemory    = `"phase":"Failed","containerStatuses":[{"state":{"terminated":{"reason":"OOMKilled","exitCode":137}}}]`
	evicted     = `"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory."`
	deleted     = `,"deletionTimestamp":"2026-01-31T12:00:00Z"`
)

func podList(pods ...string) string {
	return `{"kind":"PodList","items":[` + strings.Join(pods, ",") + `]}`
}

// What keeps a worker's pod from running, in the words of the scheduler and the kubelet.
func TestPods(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		fatal  bool
		want   map[int]string
	}{
		"no pod yet":         {200, podList(), false, nil},
		"all run":            {200, podList(podJSON("0", "", running), podJSON("1", "", running)), false, nil},
		"no node":            {200, podList(podJSON("0", "", running), podJSON("1", "", unscheduled)), false, map[int]string{1: "Pending: 0/3 nodes are available: 3 Insufficient cpu."}},
		"no image":           {200, podList(podJSON("7", "", noImage)), false, map[int]string{7: `pod x-worker-7-abcde: ImagePullBackOff: Back-off pulling image "x:1"`}},
		"being created":      {200, podList(podJSON("0", "", creating)), false, map[int]string{0: "Pending: its container is being created"}},
		"killed":             {200, podList(podJSON("0", "", noMemory)), true, map[int]string{0: "pod x-worker-0-abcde: OOMKilled, exit code 137"}},
		"evicted":            {200, podList(podJSON("0", "", evicted)), true, map[int]string{0: "pod x-worker-0-abcde: Failed: Evicted The node was low on resource: memory."}},
		"failed, no reason":  {200, podList(podJSON("0", "", `"phase":"Failed"`)), true, map[int]string{0: "pod x-worker-0-abcde: Failed: unknown reason"}},
		"deleted":            {200, podList(podJSON("0", deleted, running)), true, map[int]string{0: "pod x-worker-0-abcde: is being deleted"}},
		"ended, others wait": {200, podList(podJSON("0", "", unscheduled), podJSON("1", "", noMemory), podJSON("2", "", creating)), true, map[int]string{1: "pod x-worker-1-abcde: OOMKilled, exit code 137"}},
		"index in an annotation": {200, podList(`{"metadata":{"name":"old","annotations":{"batch.kubernetes.io/job-completion-index":"3"}},"status":{` + creating + `}}`), false,
			map[int]string{3: "Pending: its container is being created"}},
		"no index":  {200, podList(`{"metadata":{"name":"other"},"status":{` + noMemory + `}}`), false, nil},
		"forbidden": {403, `{"kind":"Status","reason":"Forbidden"}`, false, map[int]string{-1: "pods unknown: the API server responded 403 Forbidden: the service account must be allowed to list pods"}},
		"no JSON":   {200, "<html>", false, map[int]string{-1: "pods unknown: invalid character '<' looking for beginning of value"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAPIServer(t)
			s.respond(tc.status, tc.body)
			why, fatal := s.Missing(t.Context())
			if !maps.Equal(why, tc.want) || fatal != tc.fatal {
				t.Errorf("%v, fatal %t; want %v, %t", why, fatal, tc.want, tc.fatal)
			}
			const want = "GET /api/v1/namespaces/load-tests/pods?labelSelector=batch.kubernetes.io%2Fjob-name%3Dx-worker Bearer first"
			if s.request != want {
				t.Errorf("request %s, want %s", s.request, want)
			}
		})
	}
}

// Kubernetes renews the service account's token; without one, or with another CA, the pods are unknown.
func TestPodsAccount(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.respond(http.StatusOK, podList())
	s.write(t, "token", "second")
	if why, _ := s.Missing(t.Context()); len(why) > 0 || !strings.HasSuffix(s.request, " Bearer second") {
		t.Errorf("%v, request %s", why, s.request)
	}
	if err := os.Remove(filepath.Join(s.folder, "token")); err != nil {
		t.Fatal(err)
	}
	if why, fatal := s.Missing(t.Context()); fatal || !strings.HasPrefix(why[-1], "pods unknown: open ") {
		t.Errorf("without a token: %v, fatal %t", why, fatal)
	}
	other, err := newPods(strings.Replace(s.base, "127.0.0.1", "localhost", 1), "load-tests", "x-worker", s.folder)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "token", "third")
	if why, _ := other.Missing(t.Context()); !strings.Contains(why[-1], "certificate") {
		t.Errorf("a server of another name: %v", why)
	}
	s.write(t, "ca.crt", "no certificate")
	if _, err := newPods(s.base, "load-tests", "x-worker", s.folder); err == nil || !strings.HasSuffix(err.Error(), "ca.crt has no certificate") {
		t.Errorf("no certificate: %v", err)
	}
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	for _, name := range []string{"", "x", "/x", "x/"} {
		if _, err := NewPods(name, getenv); err == nil || err.Error() != fmt.Sprintf("%q is not NAMESPACE/JOB", name) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := NewPods("a/x", getenv); err == nil || !strings.HasPrefix(err.Error(), "not in a pod: ") {
		t.Errorf("outside of a cluster: %v", err)
	}
	env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"] = "fd00::1", "443"
	if _, err := NewPods("a/x", getenv); err == nil || !strings.HasPrefix(err.Error(), "open "+account+"/ca.crt") {
		t.Errorf("without an account: %v", err)
	}
}

// The state of the coordinator's pod, of kubectl's JSON.
func TestPodState(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		list, want string
		ended      bool
		code       int
	}{
		"none":    {podList(), "", false, 0},
		"no JSON": {"<html>", "", false, 0},
		"runs":    {podList(podJSON("0", "", running)), "", false, 0},
		"waits":   {podList(podJSON("0", "", unscheduled)), "pod x-worker-0-abcde: Pending: 0/3 nodes are available: 3 Insufficient cpu.", false, 0},
		"killed":  {podList(podJSON("0", "", noMemory)), "pod x-worker-0-abcde: OOMKilled, exit code 137", true, 137},
		"ended":   {podList(podJSON("0", "", `"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"reason":"Completed","exitCode":0}}}]`)), "pod x-worker-0-abcde: Completed, exit code 0", true, 0},
	} {
		if why, ended, code := podState([]byte(tc.list)); why != tc.want || ended != tc.ended || code != tc.code {
			t.Errorf("%s: %q, %t, %d; want %q, %t, %d", name, why, ended, code, tc.want, tc.ended, tc.code)
		}
	}
}

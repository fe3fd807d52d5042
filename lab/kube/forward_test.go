package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// release returns the release x of a fake cluster.
func (f fake) release() *Release {
	f.t.Helper()
	f.write("get services", services("a/x/proxy-service:9070", "a/x/otel-collector:4318"))
	r, err := f.find(f.t.Context(), Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(r.Close)
	return r
}

// backend is a service that responds with its name, and keeps no connection.
func backend(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s
}

func (f fake) target(s *httptest.Server) { f.write("target", s.Listener.Addr().String()) }

// body is the response of the service at an address.
func body(address string) (string, error) { return bodyWithin(10*time.Minute, address) }

func bodyWithin(limit time.Duration, address string) (string, error) {
	client := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// The address stays the same when kubectl ends with its pod. Close ends all processes.
func TestForward(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.release()
	first, second := backend(t, "first"), backend(t, "second")
	f.target(first)
	address, err := r.Forward(t.Context(), "proxy-service", 9070)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := body(address); got != "first" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	f.ownGroup("port-forward")
	f.target(second)
	first.Close()
	for deadline := time.Now().Add(5 * time.Minute); ; { // the request that finds out fails
		got, err := body(address)
		if got == "second" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	// While kubectl does not listen, a connection waits.
	f.remove("target")
	second.Close()
	calls := func() int { return strings.Count(f.read("calls"), "port-forward") }
	attempts := func(more int) {
		t.Helper()
		n := calls()
		if err := eventually("kubectl is started again", func() bool { return calls() >= n+more }); err != nil {
			t.Fatal(err)
		}
	}
	n := calls()
	if err := eventually("kubectl exits", func() bool { // not always at the first request: a process that is being started has the closed listener open
		if got, err := bodyWithin(100*time.Millisecond, address); err == nil {
			t.Errorf("the service is down: %q", got)
		}
		return calls() > n
	}); err != nil {
		t.Fatal(err)
	}
	// A pod that was deleted after kubectl had found it does not exist; the next one does.
	f.write("target", `Error from server (NotFound): pods "p" not found`)
	attempts(2)
	waiting := make(chan string, 1)
	go func() {
		got, err := body(address)
		waiting <- strings.TrimSpace(got + " " + errText(err))
	}()
	attempts(2)
	f.target(backend(t, "third"))
	if got := <-waiting; got != "third" {
		t.Errorf("a connection that waited: %s", got)
	}
	if calls := f.read("calls"); !strings.Contains(calls, " port-forward --namespace a --address 127.0.0.1 --pod-running-timeout 20s service/x-proxy-service :9070\n") {
		t.Errorf("calls:\n%s", calls)
	}
	r.Close()
	if _, err := body(address); err == nil {
		t.Error("the address responds after Close")
	}
	f.allEnded()
}

// ownGroup checks that the last kubectl with a command, which runs, is the leader of a process group:
// Ctrl-C must not end it before us.
func (f fake) ownGroup(name string) {
	f.t.Helper()
	pid := 0
	for line := range strings.Lines(f.read("calls")) {
		if number, args, _ := strings.Cut(line, " "); strings.Contains(args, name) {
			pid, _ = strconv.Atoi(number)
		}
	}
	if group, err := syscall.Getpgid(pid); group != pid || pid == 0 {
		f.t.Errorf("kubectl %s, process %d, is in group %d (%v)", name, pid, group, err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// allEnded checks that no process is left.
func (f fake) allEnded() {
	f.t.Helper()
	for line := range strings.Lines(f.read("calls")) {
		pid, _, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(pid)
		if err != nil || !errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			f.t.Errorf("it still runs, or has no PID (%v): %s", err, line)
		}
	}
}

// What cannot succeed is an error, at once.
func TestForwardFails(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.release()
	f.write("target", `Error from server (Forbidden): pods "p" is forbidden: User "me" cannot create resource "pods/portforward" in API group "" in the namespace "a"`)
	if _, err := r.Forward(t.Context(), "proxy-service", 9070); !errors.As(err, new(Forbidden)) || !strings.HasPrefix(err.Error(), "forward port 9070 of proxy-service: no permission (kubectl port-forward): ") {
		t.Errorf("forbidden: %v", err)
	}
	f.write("target", `Error from server (NotFound): services "x-proxy-service" not found`)
	if _, err := r.Forward(t.Context(), "proxy-service", 9070); !errors.Is(err, errNotFound) {
		t.Errorf("not found: %v", err)
	}
	if _, err := r.Forward(t.Context(), "jaeger", 16696); err == nil || !strings.Contains(err.Error(), "has no service of jaeger with port 16696") {
		t.Errorf("no service: %v", err)
	}
	f.remove("target")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		if err := eventually("it is repeated", func() bool { return strings.Count(f.read("calls"), "otel-collector") >= 2 }); err != nil {
			t.Error(err)
		}
	}()
	if _, err := r.Forward(ctx, "otel-collector", 4318); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	r.Close()
	f.allEnded()
}

// A forward that fails leaves no kubectl: whoever tries again would have more of them each time.
func TestForwardLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.release()
	f.write("target", `Error from server (Forbidden): pods is forbidden: User "me" cannot create resource "pods/portforward"`)
	if _, err := r.Forward(t.Context(), "proxy-service", 9070); !errors.As(err, new(Forbidden)) {
		t.Errorf("error %v", err)
	}
	ended := make(chan struct{})
	go func() {
		r.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Minute):
		t.Error("it runs still")
	}
}

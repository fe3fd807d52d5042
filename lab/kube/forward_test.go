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
func body(t *testing.T, address string) (string, error) {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
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
	if got, err := body(t, address); got != "first" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	f.target(second)
	first.Close()
	for deadline := time.Now().Add(time.Minute); ; { // the request that finds out fails
		got, err := body(t, address)
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
	if got, err := body(t, address); err == nil {
		t.Errorf("the service is down: %q", got)
	}
	calls := func() int { return strings.Count(f.read("calls"), "port-forward") }
	attempts := func(more int) {
		t.Helper()
		n := calls()
		if err := eventually("kubectl is started again", func() bool { return calls() >= n+more }); err != nil {
			t.Fatal(err)
		}
	}
	attempts(2) // the one that listened has exited
	waiting := make(chan string)
	go func() {
		got, err := body(t, address)
		waiting <- strings.TrimSpace(got + " " + errText(err))
	}()
	f.target(backend(t, "third"))
	if got := <-waiting; got != "third" {
		t.Errorf("a connection that waited: %s", got)
	}
	if calls := f.read("calls"); !strings.Contains(calls, " port-forward --namespace a --address 127.0.0.1 --pod-running-timeout 20s service/x-proxy-service :9070\n") {
		t.Errorf("calls:\n%s", calls)
	}
	r.Close()
	if _, err := body(t, address); err == nil {
		t.Error("the address responds after Close")
	}
	f.allEnded()
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

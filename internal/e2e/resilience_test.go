package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/albumhttp/contract"
	"soundcheck/internal/e2e/services"
)

// built builds the services once for all tests here. They are small, and are deleted
// with the machine's temporary files.
var built = sync.OnceValues(func() (*services.Programs, error) { return services.Build(context.Background(), os.Stderr) })

// stack is a proxy with the stores behind it.
type stack struct {
	*services.Proxy
	stores []*services.Store
}

func newStack(t testing.TB, stores int, storeArgs, proxyArgs []string) stack {
	t.Helper()
	p, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var s stack
	ctx := context.WithoutCancel(t.Context()) // they are killed, and waited for
	for range stores {
		store, err := p.StartStore(ctx, storeArgs...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Kill)
		s.stores = append(s.stores, store)
	}
	if s.Proxy, err = p.StartProxy(ctx, s.stores, proxyArgs...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Proxy.Kill)
	return s
}

type reply struct {
	status     int
	problem    string // the last part of its type
	body       string
	retryAfter string
	took       time.Duration
	err        error
}

// ask sends a request and compares the answer with the contract. Headers are
// "Name: value".
func ask(t *testing.T, method, url, body string, headers ...string) (r reply) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	start := time.Now()
	resp, err := contract.Transport(t, nil).RoundTrip(req)
	r.took = time.Since(start)
	if err != nil {
		return reply{err: err, took: r.took}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	r.err = err
	var p struct{ Type string }
	if json.Unmarshal(b, &p) == nil {
		r.problem = strings.TrimPrefix(p.Type, "urn:soundcheck:problem:")
	}
	r.status, r.body, r.retryAfter = resp.StatusCode, string(b), resp.Header.Get("Retry-After")
	return r
}

const anAlbum = `{"title":"Title","artist":"Artist","price":1.5}`

// soon is less than half of what a proxy waits that is patient: a response that comes so
// soon, on a slow machine too, was not waited for.
const soon = 20 * time.Second

// patient makes a proxy wait longer than a test does.
var patient = []string{"-try-timeout", "50s", "-store-timeout", "50s", "-request-timeout", "50s"}

// Each way to fail has its status, its problem, and where it makes sense a time to
// come back. What the store says of a request comes through the proxy as it is.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		store, proxy      []string
		before            func(*testing.T, stack)
		method, path      string
		body              string
		headers           []string
		status            int
		problem           string
		retryAfter        string
		least, most       time.Duration
		sameFromTheStore  bool
		requestsInAdvance int
		untilThen         bool // other answers come before
	}{
		{name: "400", method: "POST", path: "/albums", body: `{"title":"x"}`, status: 400, problem: "invalid-request", sameFromTheStore: true},
		{name: "400 of a timeout", method: "GET", path: "/albums/1", headers: []string{"X-Request-Timeout: soon"}, status: 400, problem: "invalid-request", sameFromTheStore: true},
		{name: "404", method: "GET", path: "/albums/4711", status: 404, problem: "album-not-found", sameFromTheStore: true},
		{name: "409", method: "POST", path: "/albums", body: `{"id":1,"title":"Title","artist":"Artist","price":1.5}`, status: 409, problem: "album-exists", sameFromTheStore: true},
		{name: "422", method: "POST", path: "/albums", body: anAlbum, headers: []string{"Idempotency-Key: k"}, status: 422, problem: "idempotency-key-reused", sameFromTheStore: true,
			before: func(t *testing.T, s stack) {
				other := strings.Replace(anAlbum, "Title", "Other", 1)
				if r := ask(t, "POST", s.URL+"/albums", other, "Idempotency-Key: k"); r.status != 201 {
					t.Fatalf("%+v", r)
				}
			}},
		{name: "429 of the proxy", proxy: []string{"-rate-limit", "0.01", "-rate-burst", "3"}, requestsInAdvance: 3, method: "GET", path: "/albums/1", status: 429, problem: "rate-limited", retryAfter: "100", most: soon},
		{name: "429 of the store", store: []string{"-client-rate-limit", "0.01", "-client-rate-burst", "1"}, requestsInAdvance: 1, method: "GET", path: "/albums/1", status: 429, problem: "rate-limited", retryAfter: "100", most: soon},
		{name: "503, retry budget exhausted after failures", proxy: []string{"-retry-budget", "0.001", "-breaker=false"}, store: []string{"-fault", "error=500"}, method: "GET", path: "/albums/1", status: 503, problem: "retry-budget-exhausted", retryAfter: "1", most: soon,
			before: func(t *testing.T, s stack) {
				for range 6 {
					ask(t, "GET", s.URL+"/albums/1", "")
				}
			}},
		{name: "500 of the store, retried", store: []string{"-fault", "error=500@100%"}, method: "GET", path: "/albums/1", status: 502, problem: "store-unavailable", least: 30 * time.Millisecond},
		{name: "500 of the store, not retryable", store: []string{"-fault", "error=500"}, method: "POST", path: "/albums", body: anAlbum, status: 502, problem: "store-unavailable"},
		{name: "500 of the proxy", proxy: []string{"-fault", "error=500"}, method: "GET", path: "/albums/1", status: 500, problem: "internal"},
		{name: "502, down", method: "POST", path: "/albums", body: anAlbum, status: 502, problem: "store-unavailable", most: soon,
			before: func(_ *testing.T, s stack) { s.stores[0].Kill() }},
		{name: "503, circuit breaker open", untilThen: true, method: "POST", path: "/albums", body: anAlbum, status: 503, problem: "circuit-open", retryAfter: "1", most: soon,
			before: func(_ *testing.T, s stack) { s.stores[0].Kill() }},
		{name: "503, retry budget exhausted", proxy: []string{"-retry-budget", "0.001", "-breaker=false"}, method: "GET", path: "/albums/1", status: 503, problem: "retry-budget-exhausted", retryAfter: "1", most: soon,
			before: func(t *testing.T, s stack) {
				s.stores[0].Kill()
				for range 6 {
					ask(t, "GET", s.URL+"/albums/1", "")
				}
			}},
		{name: "503, store overloaded", store: []string{"-concurrency", "2", "-queue", "0"}, proxy: patient, method: "GET", path: "/albums/1", status: 503, problem: "overloaded", retryAfter: "1", most: soon, sameFromTheStore: true,
			before: func(t *testing.T, s stack) { occupy(t, s.stores[0], s.URL) }},
		{name: "503, proxy overloaded", proxy: append([]string{"-concurrency", "2", "-queue", "0"}, patient...), method: "GET", path: "/albums/1", status: 503, problem: "overloaded", retryAfter: "1", most: soon,
			before: func(t *testing.T, s stack) { occupy(t, s.stores[0], s.URL) }},
		{name: "504, slow", store: []string{"-fault", "stall=1h"}, proxy: []string{"-store-timeout", "300ms"}, method: "POST", path: "/albums", body: anAlbum, status: 504, problem: "store-timeout", least: 300 * time.Millisecond, most: soon},
		{name: "504, every attempt times out", store: []string{"-fault", "stall=1h"}, proxy: []string{"-try-timeout", "100ms"}, method: "GET", path: "/albums/1", status: 504, problem: "store-timeout", least: 300 * time.Millisecond, most: soon},
		{name: "504, the client waits no longer", store: []string{"-fault", "stall=1h"}, method: "GET", path: "/albums/1", headers: []string{"X-Request-Timeout: 200"}, status: 504, problem: "store-timeout", least: 200 * time.Millisecond, most: soon},
		{name: "507", store: []string{"-max-albums", "3"}, method: "POST", path: "/albums", body: anAlbum, status: 507, problem: "store-full", sameFromTheStore: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.most > 0 {
				tt.proxy = append(slices.Clone(patient), tt.proxy...) // which may say otherwise
			}
			s := newStack(t, 1, tt.store, tt.proxy)
			if tt.before != nil {
				tt.before(t, s)
			}
			begun := time.Now()
			for range tt.requestsInAdvance {
				if r := ask(t, "GET", s.URL+"/albums/1", ""); r.status != 200 {
					t.Fatalf("in advance: %+v", r)
				}
			}
			got := ask(t, tt.method, s.URL+tt.path, tt.body, tt.headers...)
			for n := 0; tt.untilThen && got.status != tt.status && n < 1000; n++ {
				got = ask(t, tt.method, s.URL+tt.path, tt.body, tt.headers...)
			}
			if got.err != nil || got.status != tt.status || got.problem != tt.problem || !retryAfter(got.retryAfter, tt.retryAfter, time.Since(begun)) {
				t.Errorf("%d %s, Retry-After %q, %v, want %d %s %q\n%s", got.status, got.problem, got.retryAfter, got.err, tt.status, tt.problem, tt.retryAfter, got.body)
			}
			if got.took < tt.least || tt.most > 0 && got.took > tt.most {
				t.Errorf("answered after %s, want %s to %s", got.took, tt.least, tt.most)
			}
			if tt.sameFromTheStore {
				direct := ask(t, tt.method, s.stores[0].URL+tt.path, tt.body, tt.headers...)
				if withoutTrace(t, direct.body) != withoutTrace(t, got.body) || direct.retryAfter != got.retryAfter {
					t.Errorf("through the proxy: %s %q\ndirectly: %s %q", got.body, got.retryAfter, direct.body, direct.retryAfter)
				}
			}
			for _, probe := range []string{"/healthz", "/status", "/metrics"} { // whatever is wrong
				if resp, err := http.Get(s.URL + probe); err != nil || resp.StatusCode != 200 {
					t.Errorf("%s: %v, %v", probe, resp, err)
				} else {
					resp.Body.Close()
				}
			}
		})
	}
}

// retryAfter reports whether a Retry-After is what it should be, or less by the time that
// has passed.
func retryAfter(got, want string, passed time.Duration) bool {
	g, err := strconv.Atoi(got)
	w, _ := strconv.Atoi(want)
	return got == want || err == nil && g >= 1 && g <= w && g >= w-int(passed/time.Second)-1
}

func withoutTrace(t *testing.T, body string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if id, _ := m["trace_id"].(string); len(id) != 32 {
		t.Errorf("trace_id %q", id)
	}
	delete(m, "trace_id")
	b, _ := json.Marshal(m)
	return string(b)
}

// occupy makes a store stand still and lets one read wait in it.
func occupy(t *testing.T, store *services.Store, url string) {
	t.Helper()
	if err := store.SetFaults(t.Context(), "stall=1h"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/albums/2", nil)
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "the read is in work", func() error {
		resp, err := http.Get(store.URL + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "soundcheck_overload_in_flight") && strings.Contains(line, `"read"`) && strings.HasSuffix(line, " 1\n") {
				return nil
			}
		}
		return errors.New("no read in work")
	})
}

// A stream whose store dies breaks: it does not end as if it were whole. So does one
// that a fault cuts.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	s := newStack(t, 1, nil, patient)
	var batch strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&batch, `{"title":"Title %d %s","artist":"Artist","price":1.5}`+"\n", i, strings.Repeat("x", 900))
	}
	for range 60 { // more than the buffers on the way take
		if r := ask(t, "POST", s.URL+"/albums/batch", batch.String(), "Content-Type: application/x-ndjson"); r.status != 201 {
			t.Fatalf("%d %.300s", r.status, r.body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/albums", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	s.stores[0].Kill() // tens of megabytes are still to come
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil {
		t.Errorf("the stream ended well after %d bytes", n)
	}
	dropped := newStack(t, 1, nil, []string{"-fault", "drop=100%"})
	if r := ask(t, "GET", dropped.URL+"/albums/1", ""); r.err == nil {
		t.Errorf("a dropped request was answered %d %s", r.status, r.body)
	}
}

// A store that fails a tenth of the reads, or one of two that dies and comes back:
// the clients do not notice, over HTTP/1.1 and over HTTP/2.
func TestProxyHidesFailures(t *testing.T) {
	t.Parallel()
	for _, h2c := range []string{"-h2c=false", "-h2c"} {
		t.Run(h2c, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, 2, nil, []string{h2c, "-retry-budget", "0.5"})
			reads := func(n int) {
				t.Helper()
				for range n {
					if r := ask(t, "GET", s.URL+"/albums/1", ""); r.status != 200 || r.err != nil {
						t.Errorf("%+v", r)
					}
				}
			}
			if err := s.stores[0].SetFaults(t.Context(), "error=500@10%"); err != nil {
				t.Fatal(err)
			}
			reads(200)
			s.stores[1].Kill()
			if err := s.stores[0].SetFaults(t.Context()); err != nil {
				t.Fatal(err)
			}
			reads(200)
			if err := s.stores[1].Start(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			s.stores[0].Kill()
			eventually(t, "the other store is called", func() error { // its circuit breaker is open for half a second
				if r := ask(t, "GET", s.URL+"/albums/1", ""); r.status != 200 {
					return fmt.Errorf("%+v", r)
				}
				return nil
			})
			reads(100)
		})
	}
}

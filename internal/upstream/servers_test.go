package upstream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/httpheader"
	"soundcheck/internal/httpserver"
)

// Of several servers the one with fewer calls in flight is called more; a failing one hardly, and what
// it fails is done by the others.
func TestServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		called := map[string]int{}
		var ill atomic.Bool
		urls, err := cli.ParseURLs("http://a:1,http://b:2,http://slow:3")
		if err != nil {
			t.Fatal(err)
		}
		p := newPool(t, Options{URLs: urls, Timeout: 10 * time.Second, AttemptTimeout: time.Second, Retries: 2, RetryWait: time.Second, Budget: 0.5, Breaker: true},
			func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				called[r.URL.Host]++
				mu.Unlock()
				switch {
				case r.URL.Host == "slow:3":
					return later(r, 40*time.Millisecond, 200)
				case r.URL.Host == "a:1" && ill.Load():
					return nil, errRefused
				default:
					return later(r, 10*time.Millisecond, 200)
				}
			})
		load := func(d time.Duration) map[string]int {
			called = map[string]int{}
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
				go func() {
					if a, err := p.Do(t.Context(), get(true)); err != nil || a.StatusCode != 200 {
						t.Errorf("%v, %v", a, err)
					}
				}()
			}
			time.Sleep(time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return called
		}
		if n := load(5 * time.Second); n["slow:3"] > n["b:2"]*2/3 || n["slow:3"] == 0 || n["a:1"] < 800 {
			t.Errorf("all succeeded: %v", n)
		}
		ill.Store(true)
		if n := load(5 * time.Second); n["a:1"] > 100 || n["a:1"] < 10 {
			t.Errorf("a is down: %v", n)
		}
		ill.Store(false)
		if n := load(5 * time.Second); n["a:1"] < 700 {
			t.Errorf("a is back: %v", n)
		}
	})
}

// A draining server is avoided for a while, if there is another, and then called again. One
// that only closes a connection is not.
func TestDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		called := map[string]int{}
		drains := map[string]bool{}
		closes := false
		p := newPool(t, Options{URLs: []string{"http://a:1", "http://b:1"}, Timeout: time.Second}, func(r *http.Request) (*http.Response, error) {
			called[r.URL.Host]++
			resp := respond(r, 200)
			if resp.Close = closes || drains[r.URL.Host]; drains[r.URL.Host] {
				resp.Header.Set(httpheader.Draining, "true")
			}
			return resp, nil
		})
		ask := func(n int) map[string]int {
			clear(called)
			for range n {
				if _, err := p.Do(t.Context(), get(false)); err != nil {
					t.Fatal(err)
				}
			}
			return called
		}
		if n := ask(100); n["a:1"] < 20 || n["b:1"] < 20 {
			t.Errorf("both stay: %v", n)
		}
		closes = true
		if n := ask(100); n["a:1"] < 20 || n["b:1"] < 20 {
			t.Errorf("both close connections: %v", n)
		}
		closes = false
		drains["a:1"] = true
		if n := ask(100); n["a:1"] != 1 {
			t.Errorf("a drains: %v", n)
		}
		drains["b:1"] = true
		if n := ask(100); n["a:1"] < 20 || n["b:1"] < 20 {
			t.Errorf("both drain: %v", n)
		}
		clear(drains)
		time.Sleep(drainingFor)
		if n := ask(100); n["a:1"] < 20 || n["b:1"] < 20 {
			t.Errorf("both stayed after all: %v", n)
		}
	})
}

// With real servers: when one of two ends, no request is lost, also none that must not be
// sent twice.
func TestShutdown(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	listen := func(ctx context.Context) (url string, ended <-chan error) {
		addr := clitest.FreeAddr(t)
		result := make(chan error, 1)
		go func() {
			result <- httpserver.Run(ctx, httpserver.Config{Name: "test", Addr: addr, Handler: ok, Metrics: ok,
				Logger: slog.New(slog.DiscardHandler), DrainTimeout: time.Minute, Linger: time.Minute})
		}()
		for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				return "http://" + addr, result
			} else if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	ending, end := context.WithCancel(t.Context())
	defer end()
	a, ended := listen(ending)
	b, _ := listen(t.Context())
	p, err := New(Options{URLs: []string{a, b}, Timeout: time.Hour, Conns: 100, Retries: 2, RetryWait: time.Second, Budget: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for !done.Load() {
				r := &Request{Method: http.MethodPost, Route: "/x", Path: "/x", Header: http.Header{}, Body: []byte("z")}
				if a, err := p.Do(t.Context(), r); err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("%v, %v", a, err)
					return
				}
				time.Sleep(time.Duration(rand.IntN(int(5 * time.Millisecond))))
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // so that there are connections
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	done.Store(true)
	wg.Wait()
}

// With real connections: an unreachable server costs nothing that another can do,
// also what must not be sent twice.
func TestNoCollector(t *testing.T) {
	t.Parallel()
	const gone = "http://127.0.0.1:1" // tcpmux: nobody has it any more
	var served atomic.Int64
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer there.Close()
	for _, o := range []Options{{Retries: 2, Budget: 1}, {Retries: 1, Budget: 0.01}, {Retries: 1, Budget: 0.01, Breaker: true}} {
		o.URLs, o.Timeout, o.RetryWait = []string{gone, there.URL}, time.Hour, time.Hour // it is not waited for
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		const n = 100
		served.Store(0)
		for i := range n {
			r := &Request{Method: http.MethodPost, Route: "/x", Path: "/x", Header: http.Header{}, Body: []byte("z"), Retryable: i%2 == 0}
			if a, err := p.Do(t.Context(), r); err != nil || a.StatusCode != http.StatusOK {
				t.Fatalf("%+v: %v, %v", o, a, err)
			}
		}
		if served.Load() != n {
			t.Errorf("%+v: %d requests were served, want %d", o, served.Load(), n)
		}
		if left := p.budget.left(); left < budgetBurst {
			t.Errorf("%+v: %v of %v tokens are left", o, left, budgetBurst)
		}
	}
	// With -retries 0 there are no retries.
	p, err := New(Options{URLs: []string{gone, there.URL}, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	failed := 0
	for range 100 {
		if _, err := p.Do(t.Context(), get(true)); errors.Is(err, ErrUnavailable) {
			failed++
		}
	}
	if failed == 0 || failed == 100 {
		t.Errorf("without retries %d of 100 requests failed", failed)
	}
}

// Unreachable servers are each called once outside the budget, however often the
// call is tried; what else prevents a connection moves no call to another server.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		cause    error
		retries  int
		attempts int64
	}{
		{"refused", syscall.ECONNREFUSED, 2, 3 + 3},
		{"no such host", syscall.EHOSTUNREACH, 2, 3 + 3},
		{"no such name", &net.DNSError{IsNotFound: true}, 2, 3 + 3},
		{"no retries", syscall.ECONNREFUSED, 0, 1},
		{"no port of our own is left", syscall.EADDRNOTAVAIL, 2, 3},
		{"something else", errRefused, 2, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var attempts atomic.Int64
				p := newPool(t, Options{URLs: []string{"http://a:1", "http://b:1", "http://c:1", "http://d:1"}, Timeout: time.Minute, Retries: tt.retries, RetryWait: time.Second, Budget: 1},
					func(*http.Request) (*http.Response, error) { attempts.Add(1); return nil, noConnection(tt.cause) })
				if _, err := p.Do(t.Context(), get(true)); !errors.Is(err, ErrUnavailable) {
					t.Errorf("%v, want ErrUnavailable", err)
				}
				if attempts.Load() != tt.attempts {
					t.Errorf("%d attempts, want %d", attempts.Load(), tt.attempts)
				}
			})
		})
	}
}

// With a real server: one that sheds a large request without reading its body closes that
// connection (net/http), and only that. The idle ones stay, and so does the server.
func TestShedIsNoDrain(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 3), make(chan struct{})
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		entered <- struct{}{}
		<-release
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	p, err := New(Options{URLs: []string{srv.URL}, Timeout: time.Minute, Conns: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	three := func() { // at once, over three connections
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := p.Do(t.Context(), get(false)); err != nil {
					t.Error(err)
				}
			})
		}
		for range 3 {
			<-entered
		}
		for range 3 {
			release <- struct{}{}
		}
		wg.Wait()
	}
	three()
	large := &Request{Method: http.MethodPost, Route: "/x", Path: "/x", Header: http.Header{}, Body: make([]byte, 1<<20)}
	if a, err := p.Do(t.Context(), large); err != nil || a.StatusCode != http.StatusServiceUnavailable || !a.Close {
		t.Fatalf("%v, %v, want a 503 that closes its connection", a, err)
	}
	if p.servers[0].draining() {
		t.Error("a server that sheds is taken for one that drains")
	}
	three()
	if n := opened.Load(); n > 4 { // one for the large request, if none was idle
		t.Errorf("%d connections were opened, want 4 at most", n)
	}
}

package upstream

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Of several servers the less busy one is asked more; one that fails hardly, and what
// it fails is done by the others.
func TestServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := map[string]int{}
		var ill atomic.Bool
		urls, err := Parse("http://a:1,http://b:2,http://slow:3")
		if err != nil {
			t.Fatal(err)
		}
		p := newPool(t, Options{URLs: urls, Timeout: 10 * time.Second, TryTimeout: time.Second, Retries: 2, RetryWait: time.Second, Budget: 0.5, Breaker: true},
			func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				asked[r.URL.Host]++
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
			asked = map[string]int{}
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
			return asked
		}
		if n := load(5 * time.Second); n["slow:3"] > n["b:2"]*2/3 || n["slow:3"] == 0 || n["a:1"] < 800 {
			t.Errorf("all well: %v", n)
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

// With real connections: a server that is not there costs nothing that another can do,
// also what must not be sent twice.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	const gone = "http://127.0.0.1:1" // tcpmux: nobody has it any more
	var served atomic.Int64
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer there.Close()
	for _, o := range []Options{{Retries: 2, Budget: 1}, {Retries: 1, Budget: 0.01}, {Retries: 1, Budget: 0.01, Breaker: true}} {
		o.URLs, o.Timeout, o.RetryWait = []string{gone, there.URL}, 10*time.Second, time.Minute // it is not waited for
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		const n = 100
		served.Store(0)
		for i := range n {
			r := &Request{Method: http.MethodPost, Route: "/x", Path: "/x", Header: http.Header{}, Body: []byte("z"), Again: i%2 == 0}
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
	// But with -retries 0 nothing is tried again.
	p, err := New(Options{URLs: []string{gone, there.URL}, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	failed := 0
	for range 100 {
		if _, err := p.Do(t.Context(), get(true)); errors.Is(err, ErrDown) {
			failed++
		}
	}
	if failed == 0 || failed == 100 {
		t.Errorf("without retries %d of 100 requests failed", failed)
	}
}

// Servers that are not there are each asked once outside the budget, however often the
// call is tried; what else prevents a connection moves no call to another server.
func TestMoves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		cause   error
		retries int
		tries   int64
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
				var tries atomic.Int64
				p := newPool(t, Options{URLs: []string{"http://a:1", "http://b:1", "http://c:1", "http://d:1"}, Timeout: time.Minute, Retries: tt.retries, RetryWait: time.Second, Budget: 1},
					func(*http.Request) (*http.Response, error) { tries.Add(1); return nil, noConnection(tt.cause) })
				if _, err := p.Do(t.Context(), get(true)); !errors.Is(err, ErrDown) {
					t.Errorf("%v, want ErrDown", err)
				}
				if tries.Load() != tt.tries {
					t.Errorf("%d tries, want %d", tries.Load(), tt.tries)
				}
			})
		})
	}
}

package overload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
)

// Over any window of time no more is let in than the rate and the burst allow,
// whatever the rate, and however the requests come.
func TestRateIsNeverExceeded(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		perSecond, burst := 0.5+1000*rng.Float64()*rng.Float64(), 1+rng.IntN(50)
		b := newBucket(perSecond, burst)
		now := time.Unix(1_000_000, 0)
		var admitted []time.Time
		for range 500 {
			now = now.Add(time.Duration(rng.ExpFloat64() * float64(time.Second) / perSecond / (0.2 + 3*rng.Float64())))
			if rng.IntN(20) == 0 {
				now = now.Add(time.Duration(rng.IntN(3000)) * time.Millisecond) // silence fills the bucket
			}
			if take(now, nil, b).shed == nil {
				admitted = append(admitted, now)
			}
		}
		for i := range admitted {
			for j := i; j < len(admitted); j++ {
				window := admitted[j].Sub(admitted[i]).Seconds()
				if most := float64(burst) + perSecond*window + 1e-6; float64(j-i+1) > most {
					t.Fatalf("seed %d, %g/s, burst %d: %d in %g s, want %g at most", seed, perSecond, burst, j-i+1, window, most)
				}
			}
		}
		if len(admitted) < burst {
			t.Errorf("seed %d: %d admitted, less than the burst of %d", seed, len(admitted), burst)
		}
	}
}

// A client that waits for its Retry-After is admitted, if all do; and no Retry-After is
// much later than its token.
func TestReservations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rate  float64
		burst int
	}{{1, 1}, {0.3, 1}, {5, 1}, {10, 10}, {100, 10}, {1000, 1000}, {7.5, 3}} {
		for name, pair := range map[string]func(*bucket) (client, global *bucket){
			"client": func(b *bucket) (*bucket, *bucket) { return b, nil },
			"global": func(b *bucket) (*bucket, *bucket) { return nil, b },
		} {
			t.Run(fmt.Sprintf("%s %g %d", name, tt.rate, tt.burst), func(t *testing.T) {
				client, global := pair(newBucket(tt.rate, tt.burst))
				now := time.Unix(1_000_000, 0)
				for take(now, client, global).shed == nil { // until it is empty
				}
				// Clients arrive at once, are rejected, and retry after Retry-After.
				each := math.Ceil(1/tt.rate) / max(math.Floor(min(tt.rate, float64(tt.burst))), 1) // seconds, in whole ones
				n := min(max(int(8/each)-1, 1), 500)                                               // that fit into what is promised
				back := map[time.Duration]int{}
				var longest time.Duration
				for range n {
					v := take(now, client, global)
					if v.shed == nil {
						t.Fatal("let in by an empty bucket")
					}
					if v.shed.After < time.Second || v.shed.After%time.Second != 0 {
						t.Fatalf("told to come back after %s", v.shed.After)
					}
					back[v.shed.After]++
					longest = max(longest, v.shed.After)
				}
				if fair := time.Duration(math.Ceil(float64(n+1)*each)+1) * time.Second; longest > fair {
					t.Errorf("the last of %d waits %s, want %s at most", n, longest, fair)
				}
				for at := time.Second; at <= longest; at += time.Second {
					for range back[at] {
						if v := take(now.Add(at), client, global); v.shed != nil {
							t.Fatalf("told to come back after %s, and then refused: %v", at, v.shed)
						}
					}
				}
			})
		}
	}
}

// If both quotas reject, the Retry-After is when both have a token; without a reservation
// beyond the maximum: a client that does not wait does not delay the others for ever.
func TestReservationOfBoth(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	client, global := newBucket(1, 1), newBucket(0.01, 1)
	if v := take(now, client, global); v.shed != nil {
		t.Fatal(v.shed)
	}
	v := take(now, client, global)
	if v.shed == nil || v.shed.Reason != ClientRateLimit || v.shed.After != 100*time.Second {
		t.Errorf("%+v, want 100 s, of the client's quota", v.shed)
	}
	if v := take(now.Add(100*time.Second), client, global); v.shed != nil {
		t.Errorf("after the wait: %v", v.shed)
	}
	busy := newBucket(10, 10)
	for range 10_000 { // of one who does not wait
		take(now, nil, busy)
	}
	if v := take(now, nil, busy); v.shed == nil || v.shed.After != maxReservation || v.states[0] != `"global";r=0;t=1` {
		t.Errorf("%+v %v, want %s", v.shed, v.states, maxReservation)
	}
}

func request(t *testing.T, r http.Handler, remote string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest("GET", "/x", nil)
	req.RemoteAddr = remote
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// router responds 200 to admitted requests, and with the error's text and status to
// what is not.
func router(t testing.TB, o Options, class Class, handle gin.HandlerFunc) (*gin.Engine, *Control) {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	c, err := New(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	c.Identify(r)
	r.Use(c.Middleware(func(*gin.Context) Class { return class }, nil, func(c *gin.Context, err error) {
		c.String(http.StatusServiceUnavailable, err.Error())
		c.Abort()
	}))
	r.GET("/x", handle)
	return r, c
}

func ok(c *gin.Context) { c.Status(http.StatusOK) }

func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := router(t, Options{Rate: 10, Burst: 10, ClientRate: 1, ClientBurst: 2}, Read, ok)
		for i, want := range []struct {
			status              int
			body, state, global string
		}{
			{200, "", `"client";r=1;t=1`, `"global";r=9;t=1`},
			{200, "", `"client";r=0;t=1`, `"global";r=8;t=1`},
			{503, "too many requests: client_rate_limit", `"client";r=0;t=1`, `"global";r=8;t=1`},
		} {
			w := request(t, r, "10.0.0.1:1")
			h := w.Header()
			if w.Code != want.status || w.Body.String() != want.body || len(h.Values("RateLimit")) != 2 ||
				h.Values("RateLimit")[0] != want.state || h.Values("RateLimit")[1] != want.global {
				t.Errorf("request %d: %d %q %q, want %v", i, w.Code, w.Body, h.Values("RateLimit"), want)
			}
			if got := h.Values("RateLimit-Policy"); len(got) != 2 || got[0] != `"client";q=2;w=2` || got[1] != `"global";q=10;w=1` {
				t.Errorf("request %d: RateLimit-Policy %q", i, got)
			}
		}
		time.Sleep(time.Second) // as told
		if w := request(t, r, "10.0.0.1:1"); w.Code != 200 {
			t.Errorf("after the wait: %d %s, want 200", w.Code, w.Body)
		}
		// Others have tokens of their own, until the global ones are used up.
		for i := range 20 {
			w := request(t, r, fmt.Sprintf("10.0.1.%d:1", i))
			if want := 200; i < 9 && w.Code != want {
				t.Errorf("client %d: %d %s, want %d", i, w.Code, w.Body, want)
			}
			if want := "too many requests: global_rate_limit"; i >= 9 && w.Body.String() != want {
				t.Errorf("client %d: %d %s, want %s", i, w.Code, w.Body, want)
			}
		}
	})
}

// Who is who: the key, else the address; of IPv6 the network; behind a trusted proxy
// what that says, behind any other nothing.
func TestClientIdentity(t *testing.T) {
	t.Parallel()
	type from struct {
		remote string
		header []string
	}
	for _, tt := range []struct {
		name string
		a, b from
		same bool
	}{
		{"same address, other port", from{"10.0.0.1:1", nil}, from{"10.0.0.1:2", nil}, true},
		{"other address", from{"10.0.0.1:1", nil}, from{"10.0.0.2:1", nil}, false},
		{"same network of IPv6", from{"[2001:db8::1]:1", nil}, from{"[2001:db8::2]:1", nil}, true},
		{"other network of IPv6", from{"[2001:db8::1]:1", nil}, from{"[2001:db8:0:1::1]:1", nil}, false},
		{"IPv4 in IPv6", from{"[::ffff:10.0.0.1]:1", nil}, from{"10.0.0.1:1", nil}, true},
		{"same key, other address", from{"10.0.0.1:1", []string{"X-API-Key", "k"}}, from{"10.0.0.2:1", []string{"X-API-Key", "k"}}, true},
		{"other key", from{"10.0.0.1:1", []string{"X-API-Key", "k"}}, from{"10.0.0.1:1", []string{"X-API-Key", "l"}}, false},
		{"a key that looks like an address", from{"10.0.0.1:1", []string{"X-API-Key", "10.0.0.1"}}, from{"10.0.0.1:1", nil}, false},
		{"through a trusted proxy", from{"192.168.1.7:1", []string{"X-Forwarded-For", "10.0.0.1"}}, from{"192.168.1.7:1", []string{"X-Forwarded-For", "10.0.0.2"}}, false},
		{"with a port, through a trusted proxy", from{"192.168.1.7:1", []string{"X-Forwarded-For", "10.0.0.1:5000"}}, from{"192.168.1.7:1", []string{"X-Forwarded-For", "10.0.0.2:5000"}}, false},
		{"with another port", from{"192.168.1.7:1", []string{"X-Forwarded-For", "10.0.0.1:5000"}}, from{"192.168.1.7:1", []string{"X-Forwarded-For", "10.0.0.1:5001"}}, true},
		{"a header that no proxy wrote", from{"192.168.1.7:1", []string{"X-Real-IP", "10.0.0.1"}}, from{"192.168.1.7:1", []string{"X-Real-IP", "10.0.0.2", "Forwarded", "for=10.0.0.2", clientHeader, "10.0.0.2"}}, true},
		{"through any other", from{"172.16.0.1:1", []string{"X-Forwarded-For", "10.0.0.1"}}, from{"172.16.0.1:1", []string{"X-Forwarded-For", "10.0.0.2"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, _ := router(t, Options{ClientRate: 0.001, ClientBurst: 1, ClientHeader: "X-API-Key", TrustedProxies: []string{"192.168.1.7"}}, Read, ok)
			if w := request(t, r, tt.a.remote, tt.a.header...); w.Code != 200 {
				t.Fatalf("the first is answered %d", w.Code)
			}
			w := request(t, r, tt.b.remote, tt.b.header...)
			if same := w.Code != 200; same != tt.same {
				t.Errorf("the same client: %v, want %v", same, tt.same)
			}
		})
	}
}

// A million clients use no more memory than maxClients.
func TestManyClients(t *testing.T) {
	t.Parallel()
	c := newClients(1, 1, "")
	for i := range 1_000_000 {
		c.get(fmt.Sprint(i))
	}
	if n := c.buckets.Len(); n != maxClients {
		t.Errorf("%d clients are kept, want %d", n, maxClients)
	}
	b := c.get("999999")
	if b.limiter.AllowN(time.Now(), 1); c.get("999999") != b {
		t.Error("a client that was just here is forgotten")
	}
}

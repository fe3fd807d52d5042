package engine

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/cli/clitest"
	"soundcheck/loadgen/connect/connecttest"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/targets"
)

// A run with a high rate opens connections before its start, and no other run does.
func TestConnectionsBeforeStart(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s, o := p.start(t, albums())
			for name, tt := range map[string]struct {
				change func(*Config)
				want   int64
			}{
				"4,200 req/s":             {func(*Config) {}, 5},
				"max 3 workers":           {func(c *Config) { c.MaxWorkers = 3 }, 3},
				"1,000 req/s":             {func(c *Config) { c.Plan = steady(1000, 100*time.Millisecond) }, 0},
				"closed model":            {func(c *Config) { c.Workers = 5 }, 0},
				"-no-keepalive":           {func(c *Config) { c.Connect.NoKeepalive = true }, 0},
				"start at a time to come": {func(c *Config) { c.StartAt = time.Now().Add(openTimeout + 10*time.Millisecond) }, 5},
			} {
				c := testConfig(s.URL, tracetest.NewSpanRecorder())
				c.Connect, c.Plan = o, steady(4200, 100*time.Millisecond)
				tt.change(&c)
				want := tt.want
				if p.multiplex {
					want = 0
				}
				if base, err := url.Parse(s.URL); err != nil {
					t.Fatal(err)
				} else {
					c.arms = []*url.URL{base}
				}
				if want > 0 && p.name == "HTTP/1.1 with TLS" {
					want++ // that has asked for the version
				}
				pool := NewPool(100, c.Connect)
				before, opened := s.Connections.Load(), 0
				waitFor(t, func() bool { // a busy machine opens less in its time
					tt.change(&c)
					c.open(t.Context(), pool)
					opened += pool.count().Count
					return opened >= int(want)
				})
				if opened != int(want) {
					t.Errorf("%s: %d connections, want %d", name, opened, want)
				}
				waitFor(t, func() bool { return s.Connections.Load()-before >= want })
				pool.Close()
			}
			c := testConfig(s.URL, tracetest.NewSpanRecorder())
			c.Connect, c.Plan = o, steady(4200, 100*time.Millisecond)
			before, start := s.Connections.Load(), time.Now()
			r := attackOnce(t, t.Context(), c)
			complete := r.StartedAt.Sub(start) < openTimeout
			if n := int(s.Connections.Load() - before); r.Opened > n || complete && (r.Opened != n || n < 5 && !p.multiplex) || r.Classes[measure.Good] != 420 {
				t.Errorf("%d connections, %d in the report, want 5 at least; %v %v", n, r.Opened, r.Classes, r.Errors)
			}
		})
	}
}

// A server that does not complete handshakes delays the start by a second at most, and then fails the requests.
func TestStalledHandshakesBeforeStart(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	config, end := ca.Server(t).TLS(t), make(chan struct{})
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		<-end
		return nil, nil
	}
	s := connecttest.Start(t, connecttest.Hello, config, (*http.Protocols).SetHTTP1)
	c := testConfig(s.URL, tracetest.NewSpanRecorder())
	c.Connect.CACert, c.Plan, c.Timeout, c.MaxWorkers = ca.PEM, steady(2000, 100*time.Millisecond), 100*time.Millisecond, 512
	start := time.Now()
	r := attackOnce(t, t.Context(), c)
	if late := r.StartedAt.Sub(start); late < openTimeout || r.Sent != 200 || r.Classes[measure.Failed] != 200 || r.Failed.Max < 0.1 || r.Opened != 0 {
		t.Errorf("started after %s; %+v, %v", late, r.Failed, r.Errors)
	}
	// Without a server nothing is delayed.
	close(end)
	c.URL, c.Timeout = "https://"+clitest.ClosedAddr(t), time.Minute
	waitFor(t, func() bool { // unless the machine is so busy
		start = time.Now()
		if r = attackOnce(t, t.Context(), c); !maps.Equal(r.Errors, map[string]int{"connection refused": 200}) {
			t.Error(r.Errors)
		}
		return r.StartedAt.Sub(start) < openTimeout
	})
}

// The services of targets get their share each.
func TestServices(t *testing.T) {
	t.Parallel()
	a, b := connecttest.Start(t, connecttest.Hello, nil), connecttest.Start(t, connecttest.Hello, nil)
	c := testConfig("", tracetest.NewSpanRecorder())
	c.Plan = steady(4200, time.Second)
	var err error
	if c.Targets, err = (targets.Options{}).Read("t", strings.NewReader("GET "+a.URL+"/1\n\nGET "+b.URL+"/2\n\nGET "+a.URL+"/3\n")); err != nil {
		t.Fatal(err)
	}
	pool := NewPool(100, c.Connect)
	defer pool.Close()
	opened := 0
	waitFor(t, func() bool {
		c.open(t.Context(), pool)
		opened += pool.count().Count
		return opened == 6 && a.Connections.Load() >= 3 && b.Connections.Load() >= 3
	})
}

// waitFor waits for a condition.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come true")
		}
	}
}

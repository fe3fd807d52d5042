package overload

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/httpheader"
)

// Options are the limits of a service.
type Options struct {
	Rate  float64 // requests/s of all clients; 0: no limit
	Burst int     // max requests above Rate

	ClientRate     float64 // requests/s per client; 0: no limit
	ClientBurst    int
	ClientHeader   string   // header that identifies a client; empty: its address
	TrustedProxies []string // addresses and networks whose X-Forwarded-For is trusted

	Concurrency    Concurrency
	WriteShare     float64       // share of a fixed concurrency for writes
	Queue          int           // max queued requests per class
	QueueWait      time.Duration // max expected queue wait
	RequestTimeout time.Duration // timeout per request; 0: none
}

// Concurrency is the limit of requests in flight, fixed or adaptive. Its zero value is no limit.
// It is a flag.Value.
type Concurrency struct {
	N        int
	Adaptive bool
}

// Enabled reports whether there is a limit.
func (c Concurrency) Enabled() bool { return c.Adaptive || c.N > 0 }

// String implements flag.Value.
func (c Concurrency) String() string {
	if c.Adaptive {
		return "adaptive"
	}
	return strconv.Itoa(c.N)
}

// Set implements flag.Value.
func (c *Concurrency) Set(s string) error {
	if s == "adaptive" {
		*c = Concurrency{Adaptive: true}
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n == 1 || n > 100_000 {
		return fmt.Errorf("must be adaptive, a number from 2 to 100000, or 0 for no limit")
	}
	*c = Concurrency{N: n}
	return nil
}

// share returns the part of a fixed concurrency for class: at least one.
func (c Concurrency) share(class Class, writes float64) int {
	w := min(max(int(math.Round(float64(c.N)*writes)), 1), c.N-1)
	if class == Write {
		return max(w, 1) // also if N is 0, which Enabled excludes
	}
	return max(c.N-w, 1)
}

// atMost returns n, or a lower fixed concurrency.
func (c Concurrency) atMost(n int) int {
	if !c.Adaptive {
		n = min(n, c.N)
	}
	return n
}

// maxRequestTimeout leaves time to respond before the server's write timeout.
const maxRequestTimeout = 50 * time.Second

// Defaults of the flags.
const (
	defaultQueue          = 256
	defaultQueueWait      = 25 * time.Millisecond
	defaultRequestTimeout = 30 * time.Second
)

// Flags adds the flags of the returned Options to f. Call Check after f is parsed.
func Flags(f *cli.Flags) *Options {
	o := &Options{Concurrency: Concurrency{Adaptive: true}}
	f.Float64Var(&o.Rate, "rate-limit", 0, "rate limit for all clients together, in `requests`/s (0.001 to 1000000); default 0: no limit")
	f.IntVar(&o.Burst, "rate-burst", 0, "max burst above -rate-limit, in `requests` (1 to 1000000); default 0: one second's worth")
	f.Float64Var(&o.ClientRate, "client-rate-limit", 0, "rate limit per client, in `requests`/s (0.001 to 1000000); default 0: no limit")
	f.IntVar(&o.ClientBurst, "client-rate-burst", 0, "max burst above -client-rate-limit, in `requests` (1 to 1000000); default 0: one second's worth")
	f.StringVar(&o.ClientHeader, "client-header", "", "request `header` that identifies a client, such as X-API-Key; default: the client's address")
	f.Func("trusted-proxies", "trust X-Forwarded-For from these `addresses` and networks, such as 10.0.0.0/8,192.168.1.7; default: none", func(s string) error {
		o.TrustedProxies = nil
		for part := range strings.SplitSeq(s, ",") {
			if part == "" {
				continue
			}
			if _, err := parseProxies([]string{part}); err != nil {
				return err
			}
			o.TrustedProxies = append(o.TrustedProxies, part)
		}
		return nil
	})
	f.Var(&o.Concurrency, "concurrency", "max reads and writes in flight: adaptive, `number` (2 to 100000), or 0: no limit")
	f.Float64Var(&o.WriteShare, "write-share", 0.25, "`share` of a fixed -concurrency reserved for writes (0.01 to 0.99)")
	f.IntVar(&o.Queue, "queue", defaultQueue, "max queued `requests` per class: read, write, batch, stream (0 to 100000)")
	f.DurationVar(&o.QueueWait, "queue-wait", defaultQueueWait, "max expected queue `wait`; up to ten times that in a burst (1ms to 5s)")
	f.DurationVar(&o.RequestTimeout, "request-timeout", defaultRequestTimeout, "`timeout` per request; clients can lower it with "+httpheader.Timeout+" (1ms to 50s); 0: none")
	return o
}

// Check returns a usage error that names the flag whose value is invalid. It sets the default
// bursts.
func (o *Options) Check(f *cli.Flags) error {
	for _, l := range []struct {
		name  string
		rate  float64
		burst *int
	}{{"rate", o.Rate, &o.Burst}, {"client-rate", o.ClientRate, &o.ClientBurst}} {
		switch {
		case math.IsNaN(l.rate) || l.rate != 0 && (l.rate < 0.001 || l.rate > 1_000_000):
			return f.Errorf("-%s-limit %g is out of range: 0.001 to 1000000, or 0", l.name, l.rate)
		case *l.burst < 0 || *l.burst > 1_000_000:
			return f.Errorf("-%s-burst %d is out of range: 1 to 1000000, or 0", l.name, *l.burst)
		case *l.burst > 0 && l.rate == 0:
			return f.Errorf("-%s-burst %d needs -%s-limit", l.name, *l.burst, l.name)
		case *l.burst == 0:
			*l.burst = int(max(math.Ceil(l.rate), 1))
		}
	}
	switch {
	case o.ClientHeader != "" && !validHeader(o.ClientHeader):
		return f.Errorf("-client-header %q is not a header name", o.ClientHeader)
	case !(o.WriteShare >= 0.01 && o.WriteShare <= 0.99):
		return f.Errorf("-write-share %g is out of range: 0.01 to 0.99", o.WriteShare)
	case o.Queue < 0 || o.Queue > 100_000:
		return f.Errorf("-queue %d is out of range: 0 to 100000", o.Queue)
	case o.QueueWait < time.Millisecond || o.QueueWait > 5*time.Second:
		return f.Errorf("-queue-wait %s is out of range: 1ms to 5s", o.QueueWait)
	case o.RequestTimeout != 0 && (o.RequestTimeout < time.Millisecond || o.RequestTimeout > maxRequestTimeout):
		return f.Errorf("-request-timeout %s is out of range: 1ms to 50s, or 0", o.RequestTimeout)
	}
	return nil
}

func validHeader(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return name != ""
}

package overload

import (
	"fmt"
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"soundcheck/internal/httpheader"
)

// maxReservation is how far ahead tokens are reserved. Further rejected requests get this as
// their Retry-After, or the time until the next token if that is later.
const maxReservation = 10 * time.Second

// oneToken is 1 minus the rounding error.
const oneToken = 1 - 1e-9

// limits are the rate limits of a service. One lock protects all: a request takes a token of
// each or of none.
type limits struct {
	mu      sync.Mutex
	global  *bucket  // nil: none
	clients *clients // nil: none
}

func newLimits(o Options) *limits {
	l := new(limits)
	if o.Rate > 0 {
		l.global = newBucket(o.Rate, o.Burst)
	}
	if o.ClientRate > 0 {
		l.clients = newClients(o.ClientRate, o.ClientBurst, o.ClientHeader)
	}
	return l
}

// bucket is a token bucket that reserves tokens for rejected requests: no two get the same
// Retry-After for one token. Clients that do not wait can still take a reserved token.
type bucket struct {
	limiter *rate.Limiter
	// The bucket after the last reserved token is taken.
	reserved time.Time
	left     float64
}

func newBucket(perSecond float64, burst int) *bucket {
	return &bucket{limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// refill returns the whole seconds until the next token, without reservations.
func (b *bucket) refill(now time.Time) time.Duration {
	missing := max(oneToken-b.limiter.TokensAt(now), 0)
	return max(httpheader.WholeSeconds(time.Duration(missing/float64(b.limiter.Limit())*float64(time.Second))), time.Second)
}

// reserve returns the whole seconds, at least least, until a token that is not reserved, and
// reserves it.
func (b *bucket) reserve(now time.Time, least time.Duration) time.Duration {
	if !b.reserved.After(now) {
		b.reserved, b.left = now, b.limiter.TokensAt(now)
	}
	perSecond, burst := float64(b.limiter.Limit()), float64(b.limiter.Burst())
	natural := max(b.refill(now), least)
	after := max(httpheader.WholeSeconds(b.reserved.Sub(now)), natural)
	for {
		tokens := min(b.left+perSecond*(now.Add(after).Sub(b.reserved).Seconds()), burst)
		switch {
		case after > max(natural, maxReservation):
			return max(natural, maxReservation)
		case tokens >= oneToken:
			b.reserved, b.left = now.Add(after), tokens-1
			return after
		}
		after += max(httpheader.WholeSeconds(time.Duration((oneToken-tokens)/perSecond*float64(time.Second))), time.Second)
	}
}

// policy returns the bucket as draft-ietf-httpapi-ratelimit-headers-10 describes a
// quota: this many requests in as many seconds as it takes to fill it.
func (b *bucket) policy(name string) string {
	seconds := math.Ceil(float64(b.limiter.Burst()) / float64(b.limiter.Limit()))
	return fmt.Sprintf(`"%s";q=%d;w=%d`, name, b.limiter.Burst(), int(max(seconds, 1)))
}

// verdict is the decision of the rate limits about a request.
type verdict struct {
	policies, states []string
	shed             *Shed
}

// take takes a token from each bucket, or from none. The client's bucket is first: its reason
// takes precedence.
func (l *limits) take(g *gin.Context) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var client *bucket
	if l.clients != nil {
		client = l.clients.of(g)
	}
	return take(time.Now(), client, l.global)
}

func take(now time.Time, client, global *bucket) verdict {
	var v verdict
	for _, b := range []struct {
		*bucket
		reason Reason
	}{{client, ClientRateLimit}, {global, GlobalRateLimit}} {
		if b.bucket == nil || b.limiter.TokensAt(now) >= oneToken {
			continue
		}
		if v.shed == nil {
			v.shed = &Shed{Reason: b.reason}
		}
		v.shed.After = b.reserve(now, v.shed.After) // when both have a token
	}
	v.add(now, "client", client)
	v.add(now, "global", global)
	return v
}

// add takes the token, unless the request is rejected, and adds the headers.
func (v *verdict) add(now time.Time, name string, b *bucket) {
	if b == nil {
		return
	}
	v.policies = append(v.policies, b.policy(name))
	if v.shed == nil {
		b.limiter.ReserveN(now, 1) // available, but for rounding
	}
	tokens := max(b.limiter.TokensAt(now), 0)
	until := b.refill(now)
	if int(tokens) > 0 { // the full quota
		until = httpheader.WholeSeconds(time.Duration((float64(b.limiter.Burst()) - tokens) / float64(b.limiter.Limit()) * float64(time.Second)))
	}
	v.states = append(v.states, state(name, int(tokens+1-oneToken), until))
}

// state is the rest of a quota, and the seconds until there is more.
func state(name string, remaining int, after time.Duration) string {
	return fmt.Sprintf(`"%s";r=%d;t=%d`, name, remaining, int(after/time.Second))
}

func (v verdict) writeTo(h http.Header) {
	for i := range v.policies {
		h.Add("RateLimit-Policy", v.policies[i])
		h.Add("RateLimit", v.states[i])
	}
}

// maxClients is the maximum number of tracked clients. Beyond it, the least recently active
// client is evicted: its bucket is most likely full, like a new one.
const maxClients = 100_000

// clients has a bucket per client.
type clients struct {
	rate   float64
	burst  int
	header string
	seed   maphash.Seed
	// By hash: a client's key can be long, and is a secret.
	buckets *lru.Cache[uint64, *bucket]
}

func newClients(rate float64, burst int, header string) *clients {
	cache, err := lru.New[uint64, *bucket](maxClients)
	if err != nil {
		panic(err) // cannot happen: the size is positive
	}
	return &clients{rate, burst, header, maphash.MakeSeed(), cache}
}

// of returns the bucket of the client that made the request: of its key, if a header
// for it is configured and present, else of its address.
func (c *clients) of(g *gin.Context) *bucket {
	if c.header != "" {
		if key := g.GetHeader(c.header); key != "" {
			return c.get("key " + key)
		}
	}
	return c.get(network(g.ClientIP()))
}

// network returns an address, of version 6 only the network: one client can have all
// addresses in it.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}

func (c *clients) get(name string) *bucket {
	key := maphash.String(c.seed, name)
	if b, ok := c.buckets.Get(key); ok {
		return b
	}
	b := newBucket(c.rate, c.burst)
	if previous, ok, _ := c.buckets.PeekOrAdd(key, b); ok {
		return previous
	}
	return b
}

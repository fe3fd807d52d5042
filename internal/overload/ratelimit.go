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

// maxPromise is how far ahead places are promised. Of more refused clients, as when
// one does not wait at all, each is told this, or until there is a token at all.
const maxPromise = 10 * time.Second

// aToken is 1, but for what is rounded.
const aToken = 1 - 1e-9

// limits are the rate limits of a service. One lock for all of them: a request takes
// a token of each or of none.
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

// bucket is a token bucket that also knows who was told to come back when: no two
// are promised the same token. The promise holds among clients that wait as told;
// those that do not wait can take a token before them.
type bucket struct {
	limiter *rate.Limiter
	// The bucket as it will be once the last one who was refused has come back.
	promised time.Time
	left     float64
}

func newBucket(perSecond float64, burst int) *bucket {
	return &bucket{limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// refill returns in how many whole seconds there is a token if nobody else comes.
func (b *bucket) refill(now time.Time) time.Duration {
	missing := max(aToken-b.limiter.TokensAt(now), 0)
	return max(httpheader.WholeSeconds(time.Duration(missing/float64(b.limiter.Limit())*float64(time.Second))), time.Second)
}

// comeBack returns in how many whole seconds, after at least, there will be a token
// that nobody was told of.
func (b *bucket) comeBack(now time.Time, least time.Duration) time.Duration {
	if !b.promised.After(now) {
		b.promised, b.left = now, b.limiter.TokensAt(now)
	}
	perSecond, burst := float64(b.limiter.Limit()), float64(b.limiter.Burst())
	natural := max(b.refill(now), least)
	after := max(httpheader.WholeSeconds(b.promised.Sub(now)), natural)
	for {
		tokens := min(b.left+perSecond*(now.Add(after).Sub(b.promised).Seconds()), burst)
		switch {
		case after > max(natural, maxPromise):
			return max(natural, maxPromise)
		case tokens >= aToken:
			b.promised, b.left = now.Add(after), tokens-1
			return after
		}
		after += max(httpheader.WholeSeconds(time.Duration((aToken-tokens)/perSecond*float64(time.Second))), time.Second)
	}
}

// policy returns the bucket as draft-ietf-httpapi-ratelimit-headers-10 describes a
// quota: this many requests in as many seconds as it takes to fill it.
func (b *bucket) policy(name string) string {
	seconds := math.Ceil(float64(b.limiter.Burst()) / float64(b.limiter.Limit()))
	return fmt.Sprintf(`"%s";q=%d;w=%d`, name, b.limiter.Burst(), int(max(seconds, 1)))
}

// verdict is what the rate limits say about one request.
type verdict struct {
	policies, states []string
	shed             *Shed
}

// take takes a token from each bucket, or from none. The client's comes first, so
// that a client which sends too much is not told of the others.
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
		if b.bucket == nil || b.limiter.TokensAt(now) >= aToken {
			continue
		}
		if v.shed == nil {
			v.shed = &Shed{Reason: b.reason}
		}
		v.shed.After = b.comeBack(now, v.shed.After) // when both have a token
	}
	v.add(now, "client", client)
	v.add(now, "global", global)
	return v
}

// add takes the token, if nobody refuses, and says what there is.
func (v *verdict) add(now time.Time, name string, b *bucket) {
	if b == nil {
		return
	}
	v.policies = append(v.policies, b.policy(name))
	if v.shed == nil {
		b.limiter.ReserveN(now, 1) // it is there, but for what is rounded
	}
	tokens := max(b.limiter.TokensAt(now), 0)
	until := b.refill(now)
	if int(tokens) > 0 { // all of it
		until = httpheader.WholeSeconds(time.Duration((float64(b.limiter.Burst()) - tokens) / float64(b.limiter.Limit()) * float64(time.Second)))
	}
	v.states = append(v.states, state(name, int(tokens+1-aToken), until))
}

// state is how much of a quota is left, and in how many seconds there is more of it.
func state(name string, remaining int, after time.Duration) string {
	return fmt.Sprintf(`"%s";r=%d;t=%d`, name, remaining, int(after/time.Second))
}

func (v verdict) writeTo(h http.Header) {
	for i := range v.policies {
		h.Add("RateLimit-Policy", v.policies[i])
		h.Add("RateLimit", v.states[i])
	}
}

// maxClients is how many clients are told apart. Of more, those that were silent the
// longest are forgotten: their buckets are most likely full, as a new one is.
const maxClients = 100_000

// clients keeps a bucket for each client.
type clients struct {
	rate   float64
	burst  int
	header string
	seed   maphash.Seed
	// By hash: what a client calls itself can be long, and is nobody's business.
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

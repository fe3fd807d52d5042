package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// load sends requests when they are due, however many are not answered yet.
type load struct {
	url      string
	patience time.Duration
	naive    bool // what failed is sent again at once, until it works
}

// naivePatience is when the naive client gives up all the same.
const naivePatience = time.Minute

// times are how long requests took.
type times []time.Duration

func (t times) quantile(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	slices.Sort(t)
	return t[min(int(q*float64(len(t))), len(t)-1)]
}

// result is what came of a load.
type result struct {
	rate               float64
	duration           time.Duration
	good, shed, failed times // 2xx; 429 and 503; the others
	statuses           map[int]int
	perSecond          []float64 // good ones, by when they were answered
	firstBad, lastBad  time.Duration
	sent               int64 // tries included
}

// goodput is how many good answers came in a second.
func (r *result) goodput() float64 { return float64(len(r.good)) / r.duration.Seconds() }

func (r *result) statusText() string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(r.statuses)) {
		parts = append(parts, fmt.Sprintf("%d: %d", code, r.statuses[code]))
	}
	return strings.Join(parts, "  ")
}

// run loads at rate for duration: four reads to one write.
func (l load) run(ctx context.Context, rate float64, duration time.Duration) *result {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConns, tr.MaxIdleConnsPerHost = 0, 1<<16
	defer tr.CloseIdleConnections()
	r := &result{rate: rate, duration: duration, statuses: map[int]int{}, perSecond: make([]float64, int(duration/time.Second)+1)}
	var rt http.RoundTripper = once{tr, l.patience, &r.sent}
	timeout := l.patience + time.Second // the transport's own comes first
	if l.naive {
		rt, timeout = again{rt}, naivePatience
	}
	attacker := vegeta.NewAttacker(vegeta.Client(&http.Client{Transport: rt}), vegeta.Timeout(timeout), vegeta.MaxBody(0))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	var n atomic.Int64
	targets := func(t *vegeta.Target) error {
		if i := n.Add(1); i%5 == 0 {
			t.Method, t.URL = http.MethodPost, l.url+"/albums"
			t.Header = http.Header{"Content-Type": {"application/json"}}
			t.Body = []byte(`{"title":"Title","artist":"Artist","price":9.99}`)
		} else {
			t.Method, t.URL = http.MethodGet, fmt.Sprintf("%s/albums/%d", l.url, i%3+1)
		}
		return nil
	}
	begun := time.Now()
	for res := range attacker.Attack(targets, vegeta.Rate{Freq: int(rate * 1000), Per: 1000 * time.Second}, duration, "overload") {
		r.add(res, begun)
	}
	return r
}

func (r *result) add(res *vegeta.Result, begun time.Time) {
	code := int(res.Code)
	r.statuses[code]++
	end := res.End().Sub(begun)
	switch {
	case code >= 200 && code < 300:
		r.good = append(r.good, res.Latency)
		if i := int(end / time.Second); i < len(r.perSecond) {
			r.perSecond[i]++
		}
		return
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		r.shed = append(r.shed, res.Latency)
	default:
		r.failed = append(r.failed, res.Latency)
	}
	if at := res.Timestamp.Sub(begun); r.firstBad == 0 || at < r.firstBad {
		r.firstBad = at
	}
	r.lastBad = max(r.lastBad, end)
}

// once is a try of a client that waits for patience.
type once struct {
	next     http.RoundTripper
	patience time.Duration
	sent     *int64
}

func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	atomic.AddInt64(o.sent, 1)
	ctx, cancel := context.WithTimeout(req.Context(), o.patience)
	req = req.Clone(ctx)
	resp, err := o.next.RoundTrip(req)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &body{resp.Body, cancel}
	return resp, nil
}

// again is a client that sends what failed again at once, without end: the way to
// make an outage last.
type again struct{ next http.RoundTripper }

func (a again) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		r := req.Clone(req.Context())
		if req.GetBody != nil {
			var err error
			if r.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		resp, err := a.next.RoundTrip(r)
		if err == nil && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			return resp, nil
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
			resp.Body.Close()
		}
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(max(len(list), 1))
}

// spark draws a value a character, of which the highest is full.
func spark(list []float64, full float64) string {
	var b strings.Builder
	for _, v := range list {
		b.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[min(int(math.Ceil(8*v/full)), 8)])
	}
	return b.String()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

// body ends the try when it is closed.
type body struct {
	io.ReadCloser
	done func()
}

func (b *body) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The error of a clock's measurement is bounded by half of the shortest round trip.
func TestMeasureOffset(t *testing.T) {
	t.Parallel()
	const ahead = -3 * time.Second
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		now := time.Now()
		var trips []time.Duration
		o, err := measureOffset(t.Context(), func(context.Context) (sent, other, received time.Time, err error) {
			out, back := time.Duration(r.IntN(1e7)), time.Duration(r.IntN(1e7))
			sent = now
			now = now.Add(out)
			other = now.Add(ahead).Round(0)
			now = now.Add(back)
			trips = append(trips, out+back)
			return sent, other, now, nil
		})
		if err != nil || (o.Ahead-ahead).Abs() > o.Error || o.Error > slices.Min(trips)/2 {
			t.Fatalf("%s after %v: %v", o, trips, err)
		}
	}
	if got := fmt.Sprint(Offset{250 * time.Millisecond, 30 * time.Microsecond}); got != "+250ms ±30µs" {
		t.Error(got)
	}
}

// A response to a PING that nobody waits for any more does not displace the next one.
func TestLatePong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := strings.NewReader(`{"pong":{"ping":1}}{"pong":{"ping":2}}`)
		m := &member{pongs: make(chan ponged, 1), gone: make(chan struct{}), stream: newStream(io.Discard, func() error { return nil }, in, maxMessage)}
		if err := m.read(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, _, err := m.ping(ctx, 2); err != nil {
			t.Error(err)
		}
	})
}

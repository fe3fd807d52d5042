package cluster

import (
	"context"
	"encoding/json"
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

// slowMember is a worker that responds to PING after a time, by its number from 0.
func slowMember(t *testing.T, after func(n int) time.Duration) *member {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	m := &member{pongs: make(chan ponged, 1), gone: make(chan struct{}), stream: newStream(w, func() error { return nil }, nil, 0)}
	go func() {
		d := json.NewDecoder(r)
		for n := 0; ; n++ {
			var to toWorker
			if d.Decode(&to) != nil {
				return
			}
			time.Sleep(after(n))
			m.pongs <- ponged{pong{to.Ping, time.Now()}, time.Now()}
		}
	}()
	return m
}

// A worker that began at another time, whatever the error of its clock, is reported as such.
func TestCheckStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := slowMember(t, func(int) time.Duration { return 40 * time.Millisecond }) // the clock seems to be 20 ms ahead
		r := &run{members: []*member{m}, start: time.Now(), events: make(chan event, 1)}
		for late, want := range map[time.Duration]string{
			0:                       "has a start that could not be checked: its clock is known only to ±20ms",
			time.Second:             "started 980ms late, limit 10ms",
			-time.Second:            "started 1.02s early, limit 10ms",
			-200 * time.Millisecond: "started 220ms early, limit 10ms",
		} {
			r.checkStart(0, r.start.Add(late))
			if got := *(<-r.events).checked; got != want {
				t.Errorf("%s late: %q, want %q", late, got, want)
			}
		}
	})
}

// The clocks of workers whose first responses are late are measured again, several at a time.
func TestMeasureClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &run{c: &Coordinator{}}
		for i := range atATime {
			m := slowMember(t, func(n int) time.Duration {
				if n < 2 && i > 0 { // the first worker is not measured again
					return pongTimeout + time.Second
				}
				return 0
			})
			m.index = i
			r.members = append(r.members, m)
		}
		began := time.Now()
		if err := r.measureClocks(t.Context()); err != nil || r.apart || slices.ContainsFunc(r.offsets, func(o Offset) bool { return o != Offset{} }) {
			t.Errorf("%v, offsets %v, apart %t", err, r.offsets, r.apart)
		}
		if took := time.Since(began); took >= 3*pongTimeout {
			t.Errorf("took %s", took)
		}
	})
}

// A worker that does not respond delays the end of a run by the time of one measurement. One that responds late has a
// clock that is known a little.
func TestCheckStartTimeout(t *testing.T) {
	t.Parallel()
	for first, want := range map[time.Duration]string{
		pongTimeout + time.Second: "has a start that could not be checked: context deadline exceeded",
		6 * time.Second:           "has a start that could not be checked: its clock is known only to ±3s",
	} {
		synctest.Test(t, func(t *testing.T) {
			m := slowMember(t, func(n int) time.Duration { return []time.Duration{first, 2 * pongTimeout}[min(n, 1)] })
			r := &run{members: []*member{m}, start: time.Now(), events: make(chan event, 1)}
			began := time.Now()
			r.checkStart(0, r.start)
			if got, took := *(<-r.events).checked, time.Since(began); got != want || took > pongTimeout {
				t.Errorf("%q after %s, want %q", got, took, want)
			}
			time.Sleep(2 * pongTimeout) // in the bubble, the worker ends
		})
	}
}

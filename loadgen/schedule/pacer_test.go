package schedule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// steady is a plan with a constant rate.
func steady(rate float64, d time.Duration) Plan {
	return Plan{Stages: []Stage{{d, rate, rate}}, Arrivals: Constant}
}

func TestPace(t *testing.T) {
	t.Parallel()
	p := NewPacer(t.Context(), Pacing{Plan: steady(100, 10*time.Second)})
	if wait, stop := p.Pace(0, 0); wait != 0 || stop {
		t.Errorf("Pace of the first = %s, %v, want 0, false", wait, stop)
	}
	began := p.began
	// Pace waits itself until the scheduled time.
	if wait, stop := p.Pace(time.Since(began), 5); wait != 0 || stop || time.Since(began) < 50*time.Millisecond {
		t.Errorf("Pace of the sixth = %s, %v after %s, want 0, false after 50ms", wait, stop, time.Since(began))
	}
	// A delayed request is sent immediately.
	p.began = began.Add(-time.Hour)
	if wait, stop := p.Pace(time.Hour, 999); wait != 0 || stop {
		t.Errorf("Pace of the last = %s, %v, want 0, false", wait, stop)
	}
	if _, stop := p.Pace(time.Hour, 1000); !stop {
		t.Error("Pace does not stop after the last request")
	}
}

func TestPaceEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := NewPacer(ctx, Pacing{Plan: steady(1, 24*time.Hour)})
	p.Pace(0, 0)
	stopped := make(chan bool)
	go func() {
		_, stop := p.Pace(0, 3600) // scheduled in an hour
		stopped <- stop
	}()
	cancel()
	if !<-stopped {
		t.Error("Pace goes on after the end of ctx")
	}
	if _, stop := p.Pace(0, 1); !stop {
		t.Error("Pace goes on after the end of ctx")
	}
}

// The closed model ends with the duration or the max number of requests.
func TestPaceClosed(t *testing.T) {
	t.Parallel()
	p := NewPacer(t.Context(), Pacing{Plan: Plan{Stages: []Stage{{Duration: time.Second}}, Max: 1000}, Closed: true})
	for _, tt := range []struct {
		elapsed time.Duration
		hits    uint64
		stop    bool
	}{{0, 0, false}, {999 * time.Millisecond, 999, false}, {time.Second, 5, true}, {0, 1000, true}} {
		if wait, stop := p.Pace(tt.elapsed, tt.hits); wait != 0 || stop != tt.stop {
			t.Errorf("Pace(%s, %d) = %s, %v, want 0, %v", tt.elapsed, tt.hits, wait, stop, tt.stop)
		}
	}
	if !p.ScheduledAt(3).IsZero() {
		t.Error("a request of the closed model is scheduled")
	}
}

// Scheduled times that pass while there is no request get none, and the rate stays that of the plan.
func TestFeed(t *testing.T) {
	t.Parallel()
	for _, arrivals := range []Arrivals{Constant, Poisson} {
		synctest.Test(t, func(t *testing.T) {
			const stall = 400 * time.Millisecond
			plan := Plan{Stages: []Stage{{time.Second, 100, 100}}, Arrivals: arrivals, Shard: 1, Shards: 2}
			var p *Pacer
			p = NewPacer(t.Context(), Pacing{Plan: plan, ExactTimers: true, Feed: func(_ context.Context, until time.Time) (more, waited bool) {
				if left := time.Until(until); left > time.Second || left < 0 {
					t.Errorf("it may wait for %s", left)
				}
				if waited = time.Since(p.Began()) > 100*time.Millisecond && p.unfed == 0; waited {
					time.Sleep(stall)
				}
				return true, waited
			}})
			start, n, last := time.Now(), uint64(0), time.Duration(0)
			for ; ; n++ {
				if _, stop := p.Pace(time.Since(start), n); stop {
					break
				}
				at := p.ScheduledAt(n).Sub(start)
				if at < last || time.Since(start) < at || time.Since(start)-at > time.Millisecond {
					t.Errorf("%s: request %d is scheduled at %s, after %s, and paced at %s", arrivals, n, at, last, time.Since(start))
				}
				last = at
			}
			if arrivals == Constant && (p.Unfed() != 20 || n != 30) || p.Unfed() < 5 || n < 15 || n > 45 {
				t.Errorf("%s: %d requests, %d scheduled times without", arrivals, n, p.Unfed())
			}
		})
	}
	// The run ends with the requests.
	p := NewPacer(t.Context(), Pacing{Plan: Plan{Stages: []Stage{{time.Hour, 1000, 1000}}}, Feed: func(context.Context, time.Time) (bool, bool) { return false, false }})
	if _, stop := p.Pace(0, 0); !stop || p.Ended().IsZero() || p.Unfed() != 0 {
		t.Error("it does not end with the requests")
	}
}

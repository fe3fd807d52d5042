package schedule

import (
	"context"
	"testing"
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

package attack

import (
	"context"
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rate int
		seq  uint64
		want time.Duration
	}{
		{100, 0, 0},
		{100, 1, 10 * time.Millisecond},
		{100, 250, 2500 * time.Millisecond},
		{3, 1, 333333333},
		{3, 2, 666666666},
		{3, 3_000_000, 1_000_000 * time.Second}, // nothing adds up
		{100_000, 24*3600*100_000 - 1, 24*time.Hour - 10*time.Microsecond},
	} {
		if got := (&pacer{rate: tt.rate}).due(tt.seq); got != tt.want {
			t.Errorf("at %d/s request %d is due at %s, want %s", tt.rate, tt.seq, got, tt.want)
		}
	}
}

func TestPlanned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rate     int
		duration time.Duration
		want     uint64
	}{
		{100, 30 * time.Second, 3000},
		{100, 290 * time.Millisecond, 29}, // 28.999999999999996 in floating point
		{1, 999 * time.Millisecond, 0},
		{100_000, 24 * time.Hour, 8_640_000_000},
	} {
		if got := (Config{Rate: tt.rate, Duration: tt.duration}).Planned(); got != tt.want {
			t.Errorf("%d/s for %s are %d requests, want %d", tt.rate, tt.duration, got, tt.want)
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	p := newPacer(t.Context(), Config{Rate: 100, Duration: 10 * time.Second})
	if p.total != 1000 {
		t.Fatalf("%d requests planned, want 1000", p.total)
	}
	if wait, stop := p.Pace(0, 0); wait != 0 || stop {
		t.Errorf("Pace of the first = %s, %v, want 0, false", wait, stop)
	}
	began := p.began
	// It holds the request back itself, until it is due and no shorter.
	if wait, stop := p.Pace(time.Since(began), 5); wait != 0 || stop || time.Since(began) < 50*time.Millisecond {
		t.Errorf("Pace of the sixth = %s, %v after %s, want 0, false after 50ms", wait, stop, time.Since(began))
	}
	// One that is late goes out at once.
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
	p := newPacer(ctx, Config{Rate: 1, Duration: 24 * time.Hour})
	p.Pace(0, 0)
	stopped := make(chan bool)
	go func() {
		_, stop := p.Pace(0, 3600) // due in an hour
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

package schedule

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func TestParseStages(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		text    string
		planned uint64
	}{
		"30s@200":                    {"30s@200", 6000},
		"10s@0..200,30s@200, 5s@500": {"10s@0..200,30s@200,5s@500", 1000 + 6000 + 2500},
		"1m@0.5":                     {"1m0s@0.5", 30},
		"10s@100..0":                 {"10s@100..0", 500},
		"1s@0,1s@1":                  {"1s@0,1s@1", 1},
	} {
		got, err := ParseStages(in)
		if p := (Plan{Stages: got}); err != nil || p.String() != want.text || p.Planned() != want.planned {
			t.Errorf("ParseStages(%q) = %s, %d requests, %v, want %s, %d", in, p, p.Planned(), err, want.text, want.planned)
		}
	}
	for in, want := range map[string]string{
		"":               `"" is not duration@rate or duration@rate..rate, as in 30s@200`,
		"30s":            `"30s" is not duration@rate or duration@rate..rate, as in 30s@200`,
		"30s@100,":       `"" is not duration@rate or duration@rate..rate, as in 30s@200`,
		"0s@100":         `"0s@100": the duration is out of range: 1ms to 24h`,
		"25h@100":        `"25h@100": the duration is out of range: 1ms to 24h`,
		"13h@1,13h@1":    "the stages last longer than 24h",
		"10s@-1":         `"10s@-1": the rate is out of range: 0 to 100000000 req/s, as in 200 or 30/1m`,
		"10s@1..":        `"10s@1..": the rate is out of range: 0 to 100000000 req/s, as in 200 or 30/1m`,
		"10s@1..2..3":    `"10s@1..2..3": the rate is out of range: 0 to 100000000 req/s, as in 200 or 30/1m`,
		"10s@NaN":        `"10s@NaN": the rate is out of range: 0 to 100000000 req/s, as in 200 or 30/1m`,
		"10s@1e9":        `"10s@1e9": the rate is out of range: 0 to 100000000 req/s, as in 200 or 30/1m`,
		"100ms@1":        `"100ms@1" schedules no request`,
		"1s@0,1s@0..0.1": `"1s@0,1s@0..0.1" schedules no request`,
	} {
		if got, err := ParseStages(in); err == nil || err.Error() != want {
			t.Errorf("ParseStages(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
}

func FuzzParseStages(f *testing.F) {
	for _, s := range []string{"10s@0..200,30s@200,5s@500", "1ms@100000000", "24h@100000000..0", "24h@1e-3", "1h@0..0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		stages, err := ParseStages(s)
		if err != nil {
			return
		}
		p := Plan{Stages: stages, Arrivals: Constant}
		again, err := ParseStages(p.String())
		if err != nil || (Plan{Stages: again}).Planned() != p.Planned() {
			t.Errorf("%q is %q, which is %v, %v", s, p, again, err)
		}
		last := time.Duration(0)
		for _, n := range []float64{0, float64(p.Planned()-1) / 2, float64(p.Planned() - 1)} {
			at, more := p.time(n)
			if !more || at < last || at > p.Duration() {
				t.Errorf("%q: request %g is scheduled at %s, %v, after %s", s, n, at, more, last)
			}
			last = at
		}
	})
}

func TestScheduledTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rate float64
		seq  float64
		want time.Duration
	}{
		{100, 0, 0},
		{100, 1, 10 * time.Millisecond},
		{100, 250, 2500 * time.Millisecond},
		{3, 1, 333333333},
		{3, 2, 666666666},
		{3, 259_000, 86333333333333}, // nothing adds up
		{100_000, 24*3600*100_000 - 1, 24*time.Hour - 10*time.Microsecond},
	} {
		got, more := steady(tt.rate, 24*time.Hour).time(tt.seq)
		if d := got - tt.want; !more || d < -time.Microsecond || d > time.Microsecond {
			t.Errorf("at %g/s request %g is scheduled at %s, want %s", tt.rate, tt.seq, got, tt.want)
		}
	}
}

func TestPlanned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rate     float64
		duration time.Duration
		most     uint64
		want     uint64
		span     time.Duration
	}{
		{100, 30 * time.Second, 0, 3000, 30 * time.Second},
		{100, 290 * time.Millisecond, 0, 29, 290 * time.Millisecond}, // 28.999999999999996 in floating point
		{1, 999 * time.Millisecond, 0, 0, time.Millisecond},
		{100_000, 24 * time.Hour, 0, 8_640_000_000, 24 * time.Hour},
		{100, 30 * time.Second, 500, 500, 5 * time.Second},
		{100, 30 * time.Second, 5000, 3000, 30 * time.Second},
	} {
		p := steady(tt.rate, tt.duration)
		p.Max = tt.most
		if got := p.Planned(); got != tt.want || p.Span() != tt.span {
			t.Errorf("%g/s for %s are %d requests in %s, want %d in %s", tt.rate, tt.duration, got, p.Span(), tt.want, tt.span)
		}
	}
}

// Scheduled times match the integral of the rate for any plan: n requests before request n.
func TestScheduleMatchesRateIntegral(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var p Plan
		for range 1 + rng.IntN(5) {
			s := Stage{Duration: time.Duration(1+rng.IntN(20_000)) * time.Millisecond, From: 500 * rng.Float64(), To: 500 * rng.Float64()}
			switch rng.IntN(5) {
			case 0:
				s.From = 0
			case 1:
				s.To = 0
			case 2:
				s.To = s.From
			case 3:
				s.From, s.To = 0, 0
			}
			p.Stages = append(p.Stages, s)
		}
		area := func(until time.Duration) float64 {
			n := 0.0
			for _, s := range p.Stages {
				at := min(until, s.Duration).Seconds()
				n += s.From*at + (s.To-s.From)*at*at/(2*s.Duration.Seconds())
				if until -= s.Duration; until <= 0 {
					break
				}
			}
			return n
		}
		last := time.Duration(0)
		planned := p.Planned()
		for n := range planned {
			scheduled, more := p.time(float64(n))
			if !more || scheduled < last {
				t.Fatalf("seed %d, %s: request %d of %d is scheduled at %s, %v, after %s", seed, p, n, planned, scheduled, more, last)
			}
			if got := area(scheduled); math.Abs(got-float64(n)) > 1e-3 {
				t.Fatalf("seed %d, %s: up to %s, when request %d is scheduled, there are %g", seed, p, scheduled, n, got)
			}
			last = scheduled
		}
		if scheduled, more := p.time(float64(planned) + 1); more {
			t.Errorf("seed %d, %s: one request more than %d is scheduled at %s", seed, p, planned, scheduled)
		}
	}
}

// Poisson arrivals have the mean rate and exponential gaps, and depend on the seed only.
func TestPoisson(t *testing.T) {
	t.Parallel()
	arrivals := func(seed uint64) []time.Duration {
		p := NewPacer(context.Background(), Pacing{Plan: Plan{Stages: []Stage{{10 * time.Second, 0, 2000}, {10 * time.Second, 2000, 2000}}, Arrivals: Poisson}, Seed: seed})
		var list []time.Duration
		for hits := uint64(0); ; hits++ {
			scheduled, more := p.Next(hits)
			if !more {
				return list
			}
			list = append(list, scheduled)
		}
	}
	list := arrivals(1)
	if n := float64(len(list)); math.Abs(n-30_000) > 4*math.Sqrt(30_000) {
		t.Errorf("%g requests, want about 30000", n)
	}
	ramp, gaps, squares, plateau := 0.0, 0.0, 0.0, 0.0
	for i, scheduled := range list {
		if scheduled < 10*time.Second {
			ramp++
		} else if i > 0 && list[i-1] >= 10*time.Second {
			gap := (scheduled - list[i-1]).Seconds()
			gaps, squares, plateau = gaps+gap, squares+gap*gap, plateau+1
		}
	}
	if math.Abs(ramp-10_000) > 4*math.Sqrt(10_000) {
		t.Errorf("%g requests in the ramp, want about 10000", ramp)
	}
	mean := gaps / plateau
	if cv := math.Sqrt(squares/plateau-mean*mean) / mean; math.Abs(cv-1) > 0.05 || math.Abs(mean*2000-1) > 0.05 {
		t.Errorf("gaps of %g s with a coefficient of variation of %g, want 0.0005 and 1", mean, cv)
	}
	again, other := arrivals(1), arrivals(2)
	if len(again) != len(list) || again[len(again)-1] != list[len(list)-1] {
		t.Error("the same seed, other arrivals")
	}
	if other[0] == list[0] {
		t.Error("another seed, the same arrivals")
	}
}

// The average rate is that of the measured part.
func TestAverageAfterWarmUp(t *testing.T) {
	t.Parallel()
	ramp := []Stage{{10 * time.Second, 0, 100}, {10 * time.Second, 100, 100}}
	for _, tt := range []struct {
		plan   Plan
		warmUp time.Duration
		want   float64
	}{
		{steady(100, 10*time.Second), 0, 100},
		{steady(100, 10*time.Second), 3 * time.Second, 100},
		{Plan{Stages: ramp}, 0, 75},
		{Plan{Stages: ramp}, 10 * time.Second, 100},
		{Plan{Stages: ramp}, 5 * time.Second, (1500 - 125) / 15.0},
		{Plan{Stages: ramp, Shard: 1, Shards: 4}, 5 * time.Second, (1500 - 125) / 15.0 / 4},
		{Plan{Stages: ramp, Max: 1000}, 10 * time.Second, 100},
		{Plan{Replay: &Replay{Requests: 501, Last: 10 * time.Second}}, 5 * time.Second, 50},
	} {
		if got := tt.plan.Average(tt.warmUp); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s after %s: %g/s, want %g", tt.plan, tt.warmUp, got, tt.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]float64{"100": 100, "0.5": 0.5, "0": 0, "50/s": 50, "5/s": 5, "1/2s": 0.5, "50/1s": 50, "30/1m": 0.5, "30/m": 0.5, "1/100ms": 10, "3600/h": 1, "1.5/500ms": 3} {
		if got, err := ParseRate(in); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("ParseRate(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x", "1/", "/1s", "1/0s", "1/-1s", "1/x", "1/1", "infinity/s/", "1 / s"} {
		if got, err := ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", in, got)
		}
	}
}

// A plan for a number of requests has all of them, for any arrivals.
func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"100", "30/1m", "5/s", "1/2s", "1e3/1h30m", "NaN", "1/0s", "/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseRate(s)
		if err != nil {
			return
		}
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if again, err := ParseRate(text); err != nil || again != v && !math.IsNaN(v) {
			t.Errorf("ParseRate(%q) = %v, of %q %v, %v", s, v, text, again, err)
		}
	})
}

func TestForRequests(t *testing.T) {
	t.Parallel()
	for _, a := range []Arrivals{Constant, Poisson} {
		for n := uint64(1); n < 3000; n += 1 + n/3 {
			for _, rate := range []float64{0.5, 3, 7, 10, 1000.0 / 3, MaxRate} {
				for _, shards := range []uint64{0, 3} {
					d := ForRequests(n, rate, a)
					p := Plan{Stages: []Stage{{d, rate, rate}}, Arrivals: a, Max: n, Shards: shards}
					pacer := NewPacer(t.Context(), Pacing{Plan: p, Seed: n})
					sent := uint64(0)
					for _, more := pacer.Next(sent); more; _, more = pacer.Next(sent) {
						sent++
					}
					if sent != p.Share(n) || p.Planned() != sent || a == Constant && d.Seconds() > float64(n)/rate+0.001+1e-9 {
						t.Fatalf("%s, %d requests at %g/s, %d shards: %d in %s, %d planned", a, n, rate, shards, sent, d, p.Planned())
					}
				}
			}
		}
	}
	if d := ForRequests(1_000_000, 0.01, Constant); d <= MaxDuration {
		t.Errorf("a million requests at 0.01/s in %s", d)
	}
}

// Above is the inverse of a stage's level.
func TestAbove(t *testing.T) {
	t.Parallel()
	stages := []Stage{{2 * time.Second, 0, 20}, {time.Second, 20, 20}, {2 * time.Second, 20, 0}, {time.Second, 5, 5}}
	for _, tt := range []struct {
		level float64
		at    time.Duration
		want  time.Duration
		ok    bool
	}{
		{0, 0, 1, true}, {10, 0, time.Second + 1, true}, {19, 0, 1900*time.Millisecond + 1, true}, {20, 0, 0, false},
		{10, 1500 * time.Millisecond, 1500 * time.Millisecond, true}, {19, 3500 * time.Millisecond, 0, false},
		{4, 4500 * time.Millisecond, 4500 * time.Millisecond, true}, {4, 4900 * time.Millisecond, 5 * time.Second, true}, {0, 6 * time.Second, 0, false},
	} {
		got, ok := Above(stages, tt.level, tt.at)
		if ok != tt.ok || ok && (got-tt.want).Abs() > time.Microsecond {
			t.Errorf("above %g from %s: %s, %t, want %s, %t", tt.level, tt.at, got, ok, tt.want, tt.ok)
		}
	}
}

// Levels are of users.
func TestBadLevels(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"abc", "0.5"} {
		want := strconv.Quote(text) + " is not a number of users, or stages such as 1m@10..50"
		if _, err := ParseLevels(text); err == nil || err.Error() != want {
			t.Errorf("ParseLevels(%q): %v, want %s", text, err, want)
		}
	}
}

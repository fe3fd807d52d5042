package measure

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// distributions of response times: typical and hard ones.
var distributions = []struct {
	name string
	draw func(*rand.Rand) float64 // seconds
}{
	{"lognormal from µs to s", func(r *rand.Rand) float64 { return math.Exp(math.Log(2e-3) + 1.6*r.NormFloat64()) }},
	{"bimodal", func(r *rand.Rand) float64 {
		if r.IntN(1000) < 997 {
			return 1e-3 * (1 + 0.1*r.Float64())
		}
		return 2 + r.Float64()
	}},
	{"Pareto tail", func(r *rand.Rand) float64 { return 1e-3 / math.Pow(1-r.Float64(), 1/1.1) }},
	{"uniform", func(r *rand.Rand) float64 { return r.Float64() }},
	{"below 50 µs", func(r *rand.Rand) float64 { return 50e-6 * r.Float64() * r.Float64() }},
}

func draws(n int, seed uint64, draw func(*rand.Rand) float64) []time.Duration {
	r, list := rand.New(rand.NewPCG(seed, 0)), make([]time.Duration, n)
	for i := range list {
		list[i] = min(max(Seconds(draw(r)), 1), maxTime)
	}
	return list
}

// quantiles in parts of 100,000, so that ranks are exact.
var quantiles = []int{50_000, 90_000, 99_000, 99_900, 99_990, 100_000}

// nearestRank returns the smallest value with at least parts/100,000 of all at or below it.
func nearestRank(sorted []time.Duration, parts int) time.Duration {
	return sorted[max((len(sorted)*parts+99_999)/100_000, 1)-1]
}

func wantQuantiles(t *testing.T, what string, sorted []time.Duration, quantile func(float64) time.Duration) {
	t.Helper()
	for _, parts := range quantiles {
		q := float64(parts) / 100_000
		got, want := quantile(q), nearestRank(sorted, parts)
		if off := (got - want).Abs(); float64(off) > float64(want)/1000 || parts == 100_000 && off != 0 {
			t.Errorf("%s of %d: quantile %g = %s, want %s to 0.1%%", what, len(sorted), q, got, want)
		}
	}
}

// Percentiles equal those of the sorted list, however it was recorded.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	for seed, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			list := draws(1_000_000, uint64(seed), d.draw)
			all, halves, part := NewTimes(), [2]*Times{NewTimes(), NewTimes()}, NewInterval()
			parts := [2]*Interval{NewInterval(), NewInterval()}
			for i, v := range list {
				all.Add(v)
				halves[i%2].Add(v)
				part.Add(Good, v)
				parts[i%2].Add(Late, v)
			}
			slices.Sort(list)
			wantQuantiles(t, "times", list, all.Quantile)
			wantQuantiles(t, "interval", list, part.Quantile)

			halves[0].Merge(halves[1])
			wantSame(t, "two halves", halves[0], all)
			encoded, err := all.Encode()
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := encoded.Decode()
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "decode(encode)", decoded, all)

			parts[0].Merge(parts[1])
			wantQuantiles(t, "two halves of an interval", list, parts[0].Quantile)
			if got := parts[0].Served.TotalCount(); got != int64(len(list)) || parts[0].Classes[1] != len(list) {
				t.Errorf("two halves of an interval: %d times, %v, want %d", got, parts[0].Classes, len(list))
			}
		})
	}
}

func wantSame(t *testing.T, what string, got, want *Times) {
	t.Helper()
	if !got.hist.Equals(want.hist) || got.Count() != want.Count() || got.longest != want.longest {
		t.Errorf("%s: %d times up to %s, want %d up to %s, equal in each bucket", what, got.Count(), got.longest, want.Count(), want.longest)
	}
}

// Percentiles of few values use the nearest rank too: rounded down, p99 of 60 would be the second
// largest, and an SLO met that more than 1% of the requests violate.
func TestPercentilesOfFew(t *testing.T) {
	t.Parallel()
	for n := range 300 {
		all, part := NewTimes(), NewInterval()
		var list []time.Duration
		for i := range n + 1 {
			v := time.Duration(i+1) * time.Second
			list = append(list, v)
			all.Add(v)
			part.Add(Good, v)
		}
		wantQuantiles(t, "times", list, all.Quantile)
		wantQuantiles(t, "interval", list, part.Quantile)
	}
}

// Merging preserves the longest time to the nanosecond.
func TestLongestIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 0))
	for range 10_000 {
		d := time.Duration(r.Int64N(int64(100 * time.Second)))
		if got := Seconds(d.Seconds()); got != d {
			t.Fatalf("Seconds(%g) = %d ns, want %d ns", d.Seconds(), got, d)
		}
	}
}

package compare

import (
	"math"
	"math/rand/v2"
	"slices"
)

// draw has the weights of the blocks of both sides in one resample.
type draw struct {
	rng  *rand.Rand
	a, b []float64
}

// circular draws len(weights) blocks, in stretches of neighbours. The first block follows the
// last one, so that all have the same probability.
func (d *draw) circular(weights []float64, length int) {
	clear(weights)
	n := len(weights)
	for left := n; left > 0; left -= length {
		from := d.rng.IntN(n)
		for i := range min(length, left) {
			weights[(from+i)%n]++
		}
	}
}

// quads draws as many quads as exist.
func (d *draw) quads() {
	clear(d.a)
	clear(d.b)
	n := len(d.a) / 2
	for range n {
		q := d.rng.IntN(n)
		for i := 2 * q; i < 2*q+2; i++ {
			d.a[i]++
			d.b[i]++
		}
	}
}

// intervals returns the difference of each metric with its interval; nil if a resample has no
// value. It is deterministic.
func intervals(a, b *side, units int, next func(*draw)) []*Interval {
	d := &draw{rng: rand.New(rand.NewPCG(1, 1)), a: make([]float64, len(a.good)), b: make([]float64, len(b.good))}
	all := make([][]float64, len(metrics))
	for range resamples {
		next(d)
		for m := range metrics {
			all[m] = append(all[m], difference(a.value(d.a, m), b.value(d.b, m)))
		}
	}
	found := make([]*Interval, len(metrics))
	for m, list := range all {
		if slices.ContainsFunc(list, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			continue
		}
		slices.Sort(list)
		tail := expanded(units)
		found[m] = &Interval{
			Difference: difference(a.value(nil, m), b.value(nil, m)),
			Low:        list[int(tail*resamples)],
			High:       list[resamples-1-int(tail*resamples)],
			Smallest:   (student(z95, units) + student(z80, units)) * deviation(list) * math.Sqrt(float64(units)/float64(units-1)),
		}
	}
	return found
}

func difference(a, b float64) float64 { return (b - a) / a }

// Quantiles of the normal distribution.
const (
	z95 = 1.959964 // 95% are between -z95 and z95
	z80 = 0.841621 // 80% are below
)

// expanded returns the tail share at either end of a 95% interval from n independent units:
// 2.5% for many, less for few.
func expanded(n int) float64 {
	t := student(z95, n) * math.Sqrt(float64(n)/float64(n-1))
	return math.Erfc(t/math.Sqrt2) / 2
}

// student returns the quantile of Student's t for n independent units that corresponds to the
// normal quantile z: an expansion around z (Abramowitz and Stegun, 26.7.5).
func student(z float64, n int) float64 {
	v := float64(n - 1)
	return z + (math.Pow(z, 3)+z)/(4*v) + (5*math.Pow(z, 5)+16*math.Pow(z, 3)+3*z)/(96*v*v)
}

// deviation is the standard deviation of a list.
func deviation(list []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, v := range list {
		mean += v / float64(len(list))
	}
	for _, v := range list {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(list)-1))
}

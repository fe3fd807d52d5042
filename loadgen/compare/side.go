package compare

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// side has the times of all blocks in order, so that the percentile of a resample needs no
// histogram.
type side struct {
	good, seconds, served []float64 // by block
	total                 float64   // served
	entries               []entry   // in order of value
	marks                 []mark
}

type entry struct {
	value int64
	block int
	count float64
}

// mark is an index of entries with the counts of each block before it. A percentile is searched
// in the marks first, then between two of them.
type mark struct {
	at     int
	before []float64
}

const maxMarks = 64

// newSide converts s, and sets its sums.
func newSide(s *Side) *side {
	n := len(s.Blocks)
	d := &side{good: make([]float64, n), seconds: make([]float64, n), served: make([]float64, n)}
	s.Good, s.Seconds = 0, 0
	for i, b := range s.Blocks {
		s.Good += b.Good
		s.Seconds += b.Seconds
		d.good[i], d.seconds[i] = float64(b.Good), b.Seconds
		for _, t := range b.Served {
			d.entries = append(d.entries, entry{t.Value, i, float64(t.Count)})
			d.served[i] += float64(t.Count)
		}
		d.total += d.served[i]
	}
	s.Served = d.total
	slices.SortFunc(d.entries, func(x, y entry) int { return cmp.Compare(x.value, y.value) })
	step := len(d.entries)/maxMarks + 1
	sums := make([]float64, n)
	for i, e := range d.entries {
		if i%step == 0 {
			d.marks = append(d.marks, mark{i, slices.Clone(sums)})
		}
		sums[e.block] += e.count
	}
	return d
}

// value returns a metric of a resample with the weights of its blocks; nil: the original. A
// missing value is NaN in a resample, and 0 in the original.
func (d *side) value(weights []float64, metric int) float64 {
	unweighted := weights == nil
	if unweighted {
		weights = slices.Repeat([]float64{1}, len(d.good))
	}
	v := 0.0
	if q := metrics[metric].quantile; q > 0 {
		v = d.quantile(weights, q)
	} else {
		v = dot(weights, d.good) / dot(weights, d.seconds)
	}
	if unweighted && math.IsNaN(v) {
		return 0
	}
	return v
}

// quantile returns a quantile of a resample, in seconds.
func (d *side) quantile(weights []float64, q float64) float64 {
	total := dot(weights, d.served)
	if total == 0 {
		return math.NaN()
	}
	target := math.Ceil(q*total - 1e-9)
	from := d.marks[max(sort.Search(len(d.marks), func(i int) bool { return dot(weights, d.marks[i].before) >= target })-1, 0)]
	sum, last := dot(weights, from.before), int64(0)
	for _, e := range d.entries[from.at:] {
		if w := weights[e.block]; w > 0 {
			sum += w * e.count
			last = e.value
		}
		if sum >= target {
			break
		}
	}
	return float64(last) / 1e9
}

// bursts returns the effective number of blocks with requests at or above a percentile (Kish's
// effective sample size): the number of blocks for an even spread, 1 if one block has all.
func (d *side) bursts(q float64) float64 {
	limit := int64(math.Round(d.quantile(slices.Repeat([]float64{1}, len(d.good)), q) * 1e9))
	counts := make([]float64, len(d.good))
	sum, squares := 0.0, 0.0
	for _, e := range d.entries {
		if e.value >= limit {
			counts[e.block] += e.count
		}
	}
	for _, c := range counts {
		sum += c
		squares += c * c
	}
	return sum * sum / max(squares, 1)
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

package report

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// charts is what the page draws, as JSON: times in ms but for At and Seconds, which are
// in s, and null where there is none.
type charts struct {
	Open        bool        `json:"open"`
	At          []float64   `json:"at"`  // where intervals begin
	End         float64     `json:"end"` // of the last one
	Asked       []float64   `json:"asked"`
	Classes     []rates     `json:"classes"` // those that there were requests of
	P50         []*float64  `json:"p50"`
	P99         []*float64  `json:"p99"`
	Max         []*float64  `json:"max"`
	Heat        heat        `json:"heat"`
	Percentiles percentiles `json:"percentiles"`
}

// rates are the requests of a class in each interval, in requests a second.
type rates struct {
	Class measure.Class `json:"class"`
	Rate  []float64     `json:"rate"`
}

// heat is how many served requests of each interval were in each band of time.
type heat struct {
	Bounds []float64 `json:"bounds"` // of bands: one more than there are
	Cells  [][]int64 `json:"cells"`  // by interval: number of a band, requests in it, the next band …
	Most   float64   `json:"most"`   // largest share of an interval that one band has
}

// percentiles are distributions by nines: 1 is 90%, 2 is 99%.
type percentiles struct {
	Nines    []float64  `json:"nines"`
	Response []*float64 `json:"response"`
	Service  []*float64 `json:"service"`
	Lag      []*float64 `json:"lag"`
}

// milli is a time of a summary in ms; nil if the summary is of nothing.
func milli(s measure.Summary, v float64) *float64 {
	if s.Count == 0 {
		return nil
	}
	v = rounded(1000 * v)
	return &v
}

// cutShort is the last interval if there was less time for it than this part of it.
const cutShort = 0.95

func (r *Report) charts() (charts, error) {
	c := charts{Open: r.Model == "open", At: []float64{}, Asked: []float64{}, Classes: []rates{}, P50: []*float64{}, P99: []*float64{}, Max: []*float64{}}
	for _, class := range r.shown() {
		if r.Classes[class] > 0 {
			c.Classes = append(c.Classes, rates{Class: class, Rate: []float64{}})
		}
	}
	for i, v := range r.Intervals {
		width := v.Seconds
		if left := r.Elapsed - r.WarmUpTime - v.At; i == len(r.Intervals)-1 && left < cutShort*width {
			width = max(left, width/10)
		}
		c.At, c.Asked, c.End = append(c.At, v.At), append(c.Asked, v.Asked), v.At+width
		for k := range c.Classes {
			n := v.Classes[c.Classes[k].Class]
			c.Classes[k].Rate = append(c.Classes[k].Rate, rounded(float64(n)/width))
		}
		s := v.Response
		c.P50, c.P99, c.Max = append(c.P50, milli(s, s.P50)), append(c.P99, milli(s, s.P99)), append(c.Max, milli(s, s.Max))
	}
	var err error
	c.Heat, err = heatOf(r.Intervals)
	c.Percentiles = r.percentiles()
	return c, err
}

// maxRows of a heat map.
const maxRows = 48

// heatOf counts the times of intervals in bands whose ends are in the same proportion.
func heatOf(list []Interval) (heat, error) {
	h := heat{Bounds: []float64{}, Cells: [][]int64{}}
	var hists []*hdrhistogram.PackedHistogram
	low, high := int64(math.MaxInt64), int64(0)
	for _, v := range list {
		d, err := v.Decode()
		if err != nil {
			return h, err
		}
		hists = append(hists, d)
		if d.TotalCount() > 0 {
			low, high = min(low, d.Min()), max(high, d.Max())
		}
	}
	if high == 0 {
		return h, nil
	}
	perTen, first, last := scale(time.Duration(low), time.Duration(high), maxRows)
	for n := first; n <= last+1; n++ {
		h.Bounds = append(h.Bounds, float64(bound(n, perTen))/1e6)
	}
	for _, d := range hists {
		cells := []int64{}
		for value, count := range d.ForEachBucket {
			n := int64(bandOf(time.Duration(value), perTen) - first)
			if k := len(cells); k > 0 && cells[k-2] == n {
				cells[k-1] += count
			} else {
				cells = append(cells, n, count)
			}
		}
		for k := 1; k < len(cells); k += 2 {
			h.Most = max(h.Most, float64(cells[k])/float64(d.TotalCount()))
		}
		h.Cells = append(h.Cells, cells)
	}
	return h, nil
}

// Percentiles are drawn from 50% to 99.999%, or as far as there are requests to tell,
// but to 90% at least.
const (
	mostNines = 5.0
	nineStep  = 0.05
)

func (r *Report) percentiles() percentiles {
	p := percentiles{Nines: []float64{}, Response: []*float64{}, Service: []*float64{}, Lag: []*float64{}}
	response, service, lag := r.Times("response"), r.Times("service"), r.Times("lag")
	// Beyond its reach a percentile would be the maximum again and again.
	reach := func(t *measure.Times) float64 {
		return min(max(math.Log10(float64(max(t.Count(), 1))), 1)+nineStep, mostNines)
	}
	at := func(t *measure.Times, nines float64) *float64 {
		if t.Count() == 0 || nines > reach(t) {
			return nil
		}
		v := rounded(float64(t.Quantile(1-math.Pow(10, -nines))) / 1e6)
		return &v
	}
	if response.Count()+service.Count() == 0 {
		return p
	}
	for i := 0; ; i++ {
		nines := rounded(math.Log10(2) + float64(i)*nineStep)
		if nines > max(reach(response), reach(service)) {
			return p
		}
		p.Nines = append(p.Nines, nines)
		p.Response, p.Service = append(p.Response, at(response, nines)), append(p.Service, at(service, nines))
		if r.Model == "open" {
			p.Lag = append(p.Lag, at(lag, nines))
		}
	}
}

// rounded keeps the page small: a millionth is more than can be seen.
func rounded(v float64) float64 { return math.Round(v*1e6) / 1e6 }

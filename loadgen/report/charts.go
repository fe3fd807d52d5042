package report

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// charts is the data of the page's charts: At and End in seconds, latency in ms, rates in
// req/s; null: no requests.
type charts struct {
	Open        bool        `json:"open"`
	At          []float64   `json:"at"`  // starts of the intervals
	End         float64     `json:"end"` // of the last interval
	RateTarget  []float64   `json:"rate_target"`
	Classes     []rates     `json:"classes"` // only classes with requests
	P50         []*float64  `json:"p50"`
	P99         []*float64  `json:"p99"`
	Max         []*float64  `json:"max"`
	Heat        heat        `json:"heat"`
	Percentiles percentiles `json:"percentiles"`
}

// rates are the rates of a class by interval, in req/s.
type rates struct {
	Class measure.Class `json:"class"`
	Rate  []float64     `json:"rate"`
}

// heat counts the served requests by interval and latency band.
type heat struct {
	Bounds []float64 `json:"bounds"` // of the bands, in ms: one more than bands
	Cells  [][]int64 `json:"cells"`  // by interval: band, requests in it, next band …
	Most   float64   `json:"most"`   // largest share of an interval's requests in one band
}

// percentiles are distributions, by number of nines: 1 is p90, 2 is p99.
type percentiles struct {
	Nines     []float64  `json:"nines"`
	Response  []*float64 `json:"response"`
	Service   []*float64 `json:"service"`
	SendDelay []*float64 `json:"send_delay"`
}

// milli returns a time of a summary in ms; nil if the summary is empty.
func milli(s measure.Summary, v float64) *float64 {
	if s.Count == 0 {
		return nil
	}
	v = rounded(1000 * v)
	return &v
}

// cutShort: a last interval with less than this share of its width ended early.
const cutShort = 0.95

func (r *Report) charts() (charts, error) {
	c := charts{Open: r.Model == "open", At: []float64{}, RateTarget: []float64{}, Classes: []rates{}, P50: []*float64{}, P99: []*float64{}, Max: []*float64{}}
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
		c.At, c.RateTarget, c.End = append(c.At, v.At), append(c.RateTarget, v.RateTarget), v.At+width
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

// maxRows is the max number of bands of a heat map.
const maxRows = 48

// heatOf counts latency by interval, in bands of a log scale.
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

// The percentile chart goes from p50 to p99.999, or as far as the number of requests allows,
// but at least to p90.
const (
	maxNines = 5.0
	nineStep = 0.05
)

func (r *Report) percentiles() percentiles {
	p := percentiles{Nines: []float64{}, Response: []*float64{}, Service: []*float64{}, SendDelay: []*float64{}}
	response, service, sendDelay := r.Times("response"), r.Times("service"), r.Times("send_delay")
	// Beyond its reach every percentile is the maximum.
	reach := func(t *measure.Times) float64 {
		return min(max(math.Log10(float64(max(t.Count(), 1))), 1)+nineStep, maxNines)
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
		if r.scheduled() {
			p.SendDelay = append(p.SendDelay, at(sendDelay, nines))
		}
	}
}

// rounded keeps the page small.
func rounded(v float64) float64 { return math.Round(v*1e6) / 1e6 }

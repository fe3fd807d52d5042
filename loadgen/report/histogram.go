package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// Times returns the times of a name, as in Histograms: as measured, or from the file. They
// are empty if neither has them.
func (r *Report) Times(name string) *measure.Times {
	if t := r.times[name]; t != nil {
		return t
	}
	if h, ok := r.Histograms[name]; ok {
		if t, err := h.Decode(); err == nil {
			return t
		}
	}
	return measure.NewTimes()
}

// band is a bucket of the latency histogram.
type band struct {
	from, to time.Duration
	count    int64
}

const (
	maxBands = 20
	// maxBars is the width of the longest bar, in characters.
	maxBars = 30
)

// steps are the possible numbers of bands per decade. The first one that fits is used.
var steps = []int{192, 96, 48, 24, 12, 6, 3, 2, 1}

// bound returns the lower bound of band n, with perTen bands per decade. Bounds are round:
// 1, 2, 5, 10 … for three per decade, and two or three digits for more.
func bound(n, perTen int) time.Duration {
	decade := int(math.Floor(float64(n) / float64(perTen)))
	i := n - decade*perTen
	digits := 100.0
	switch {
	case perTen == 3:
		digits = []float64{100, 200, 500}[i]
	case perTen == 2:
		digits = []float64{100, 300}[i]
	case perTen <= 24:
		digits = 10 * math.Round(10*math.Pow(10, float64(i)/float64(perTen)))
	default:
		digits = math.Round(100 * math.Pow(10, float64(i)/float64(perTen)))
	}
	return time.Duration(math.Round(digits * math.Pow(10, float64(decade-2))))
}

// bandOf returns the number of the band of a time.
func bandOf(d time.Duration, perTen int) int {
	n := int(math.Floor(math.Log10(float64(max(d, 1)))*float64(perTen))) - 1 // bounds are rounded: search upwards
	for bound(n+1, perTen) <= d {
		n++
	}
	return n
}

// scale returns the bands per decade and the numbers of the first and last band, for at most
// so many bands between two times.
func scale(low, high time.Duration, limit int) (perTen, first, last int) {
	for _, perTen = range steps {
		if first, last = bandOf(low, perTen), bandOf(high, perTen); last-first < limit {
			break
		}
	}
	return perTen, first, last
}

// latencyHistogram counts times by band, on a log scale from the shortest to the longest.
func latencyHistogram(t *measure.Times) []band {
	bars := t.HDR().Distribution()
	bars = slices.DeleteFunc(bars, func(b hdrhistogram.Bar) bool { return b.Count == 0 })
	if len(bars) == 0 {
		return nil
	}
	middle := func(b hdrhistogram.Bar) time.Duration { return time.Duration((b.From + b.To) / 2) }
	perTen, first, last := scale(middle(bars[0]), middle(bars[len(bars)-1]), maxBands)
	var list []band
	for n := first; n <= last; n++ {
		list = append(list, band{from: bound(n, perTen), to: bound(n+1, perTen)})
	}
	at := 0
	for _, b := range bars {
		for middle(b) >= list[at].to {
			at++
		}
		list[at].count += b.Count
	}
	return list
}

// shownBand is a band as reports show it.
type shownBand struct {
	from, to                string // in ms
	bar                     string
	count                   int64
	share, cumulative, peak float64 // peak: share of the largest band
}

// bands returns the latency histogram of the served requests.
func (r *Report) bands() []shownBand {
	list := latencyHistogram(r.Times("response"))
	total, peak, sum := int64(0), int64(0), int64(0)
	for _, b := range list {
		total, peak = total+b.count, max(peak, b.count)
	}
	var bands []shownBand
	for _, b := range list {
		sum += b.count
		l := shownBand{from: digits3(b.from), to: digits3(b.to), count: b.count, share: float64(b.count) / float64(total),
			cumulative: float64(sum) / float64(total), peak: float64(b.count) / float64(peak)}
		l.bar = bars(l.peak)
		bands = append(bands, l)
	}
	return bands
}

// bars draws a share of the longest bar in eighths of a character, and at least one.
func bars(share float64) string {
	eighths := int(math.Round(8 * maxBars * share))
	if share > 0 {
		eighths = max(eighths, 1)
	}
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return text
}

// digits3 formats milliseconds with three significant digits, or all of an integer's.
func digits3(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	decimals := 2 - int(math.Floor(math.Log10(max(v, 1e-9))+1e-9))
	return strconv.FormatFloat(v, 'f', max(decimals, 0), 64)
}

// percent formats a share. It rounds to 100% only if the share is 1.
func percent(share float64) string {
	text := fmt.Sprintf("%.2f%%", 100*share)
	if text == "100.00%" && share < 1 {
		return "99.99%"
	}
	return text
}

package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/loadgen/measure"
)

// The log of intervals is what HdrHistogram's own writer makes of them, but for the maxima, which are exact: also of
// intervals without a served request, after a warm-up, from a start within a second, merged or read from a file.
func TestLogIntervals(t *testing.T) {
	t.Parallel()
	s := measure.Intervals{Width: 500 * time.Millisecond}
	for _, at := range []time.Duration{0, 300 * time.Millisecond, 1500 * time.Millisecond} {
		s.Add(at, measure.Good, 3456789*time.Nanosecond)
		s.Add(at, measure.Late, 234567891*time.Nanosecond+at)
	}
	s.Add(2*time.Second, measure.Failed, time.Second)
	s.Merge(&s)
	r := &Report{StartedAt: time.UnixMilli(1790000000789), WarmUpTime: 1.25, Intervals: intervalsOf(&s, func(time.Duration) float64 { return 1 })}
	old := *r
	old.Intervals = nil
	for _, v := range r.Intervals { // some release could omit empty histograms
		if v.Response.Count == 0 {
			v.HDR = ""
		}
		old.Intervals = append(old.Intervals, v)
	}
	for _, r := range []*Report{r, &old} {
		var got, want bytes.Buffer
		if err := r.logIntervals(&got); err != nil {
			t.Fatal(err)
		}
		start := r.StartedAt.UnixMilli() + 1250
		l, err := newLog(&want, start)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(got.String(), "\n")
		header := strings.Count(want.String(), "\n")
		for n, v := range r.Intervals {
			h, err := v.Decode()
			if err != nil {
				t.Fatal(err)
			}
			h.SetStartTimeMs(start + int64(n)*500)
			h.SetEndTimeMs(start + int64(n+1)*500)
			want.Reset()
			if err := l.OutputIntervalPackedHistogram(h); err != nil {
				t.Fatal(err)
			}
			columns := strings.SplitN(want.String(), ",", 4)
			columns[2] = fmt.Sprintf("%f", float64(s.List[n].Longest)/1e6)
			if want := strings.Join(columns, ","); lines[header+n] != want {
				t.Errorf("interval %d:\n%s, want\n%s", n, lines[header+n], want)
			}
		}
		log := hdrhistogram.NewHistogramLogReader(&got)
		for n, v := range r.Intervals {
			h, err := log.NextIntervalHistogram()
			if err != nil || h == nil || h.TotalCount() != v.Response.Count || h.EndTimeMs()-h.StartTimeMs() != 500 {
				t.Errorf("interval %d is read as %v, %v, want %d requests in 500 ms", n, h, err, v.Response.Count)
			}
		}
	}
}

package report

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"soundcheck/loadgen/measure"
)

// The histogram of any times has each of them in its band, at most maxBands bands, and no
// empty band at either end.
func TestLatencyHistogram(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		h := measure.NewTimes()
		low := time.Duration(1 + rng.Int64N(int64(time.Second)))
		span := 1 + rng.Int64N(int64(low)*int64(1+rng.IntN(5000)))
		longest := time.Duration(0)
		for range 1 + rng.IntN(200) {
			d := low + time.Duration(rng.Int64N(span))
			h.Add(d)
			longest = max(longest, d)
		}
		list, total := latencyHistogram(h), int64(0)
		for i, b := range list {
			if total += b.count; b.from >= b.to || i > 0 && b.from != list[i-1].to {
				t.Fatalf("bands %v", list)
			}
		}
		first, last := list[0], list[len(list)-1]
		if total != h.Count() || len(list) > maxBands || first.count == 0 || last.count == 0 || float64(last.from) > 1.001*float64(longest) || float64(last.to) < 0.999*float64(longest) {
			t.Fatalf("%d times up to %s in bands %v", h.Count(), longest, list)
		}
	}
	if list := latencyHistogram(measure.NewTimes()); list != nil {
		t.Errorf("of nothing: %v", list)
	}
}

func TestHistogramText(t *testing.T) {
	t.Parallel()
	r := &Report{times: map[string]*measure.Times{"response": measure.NewTimes()}}
	for range 1_000_000 {
		r.times["response"].Add(time.Millisecond + 300*time.Microsecond)
	}
	r.times["response"].Add(9 * time.Second)
	bands := r.bands()
	first, last := bands[0], bands[len(bands)-1]
	if first.bar != strings.Repeat("█", maxBars) || last.bar != "▏" || first.from != "1.00" || first.to != "2.00" || last.from != "5000" || last.to != "10000" {
		t.Errorf("%+v to %+v", first, last)
	}
	if percent(first.share) != "99.99%" || percent(last.cumulative) != "100.00%" {
		t.Errorf("shares %s and %s", percent(first.share), percent(last.cumulative))
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line); n > 100 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

func TestDigits3(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		1500: "0.00150", 999 * time.Microsecond: "0.999", time.Millisecond: "1.00", 12 * time.Millisecond: "12.0", 1500 * time.Millisecond: "1500", time.Hour: "3600000",
	} {
		if got := digits3(d); got != want {
			t.Errorf("digits3(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestMarkdownText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a|b\n|c": `a\|b \|c`, `\|`: `\\\|`, "<b>*x*</b>": `\<b\>\*x\*\</b\>`, "plain": "plain",
	} {
		if got := Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
	}
	r := &Report{Traces: "http://j/trace/"}
	if got, want := r.markTrace("ab"), "[ab](<http://j/trace/ab>)"; got != want {
		t.Errorf("a link is %s, want %s", got, want)
	}
}

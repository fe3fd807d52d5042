package slo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
)

func slos(t *testing.T, list ...string) []Objective {
	t.Helper()
	objectives, err := ParseList(strings.Join(list, ","))
	if err != nil {
		t.Fatal(err)
	}
	return objectives
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"p99<250ms", "p99.9<1s", "p99(get)<50ms", "max<2s", "good>99.9%", "failed<1%", "shed(list)<5%", "late < 1%", "good(create)>0%", "p99<=250ms", "max <= 1s", "good>=99.9%", "failed(get)<=1%"} {
		if _, err := Parse(good); err != nil {
			t.Errorf("Parse(%q): %v", good, err)
		}
	}
	for in, want := range map[string]string{
		"":             `"" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99":          `"p99" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99<250":      `"p99<250" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99=<250ms":   `"p99=<250ms" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
		"p0<1s":        `"p0<1s": the percentile is out of range: above 0, up to 100`,
		"p101<1s":      `"p101<1s": the percentile is out of range: above 0, up to 100`,
		"p9.9.9<1s":    `"p9.9.9<1s": the percentile is out of range: above 0, up to 100`,
		"p99>1s":       `"p99>1s": an SLO on response times is below a duration, as in p99<250ms`,
		"p99>=1s":      `"p99>=1s": an SLO on response times is below a duration, as in p99<250ms`,
		"p99==1s":      `"p99==1s" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99<0s":       `"p99<0s": an SLO on response times is below a duration, as in p99<250ms`,
		"p99<5%":       `"p99<5%": an SLO on response times is below a duration, as in p99<250ms`,
		"good>99ms":    `"good>99ms": the share is out of range: 0% to 100%`,
		"good>101%":    `"good>101%": the share is out of range: 0% to 100%`,
		"p99(a/b)<1ms": `"p99(a/b)<1ms" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99()<1ms":    `"p99()<1ms" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`,
	} {
		if _, err := Parse(in); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, want %s", in, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"p99<250ms", "good(get)>99.9%", "max<1h", "p100<1ns", "p99<=1s", "good>=100%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		slo, err := Parse(s)
		if err != nil {
			return
		}
		if (slo.quantile > 0) == (slo.class != "") || slo.quantile > 1 || slo.share < 0 || slo.share > 1 || slo.quantile > 0 && slo.bound <= 0 {
			t.Errorf("Parse(%q) = %+v", s, slo)
		}
		if again, err := Parse(slo.String()); err != nil || again != slo {
			t.Errorf("Parse(%q) = %+v, again %+v, %v", s, slo, again, err)
		}
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	c := measure.NewCell()
	for i := range 90 {
		c.Add(measure.Good, 200, time.Duration(i+1)*time.Millisecond)
	}
	c.Add(measure.Late, 200, 500*time.Millisecond)
	for range 4 {
		c.Add(measure.Shed, 503, time.Microsecond)
	}
	for range 5 {
		c.Add(measure.Failed, 0, 10*time.Second)
	}
	for in, met := range map[string]bool{
		"p50<46.1ms": true, "p50<45ms": false, "max<501ms": true, "max<500ms": false, "p99<90ms": false,
		"good>89%": true, "good>90%": false, "late<2%": true, "late<1%": false, "shed<5%": true, "shed<4%": false, "failed<5%": false, "failed<5.1%": true,
		"good>100%":  false,
		"max<=500ms": true, "max<=499.999999ms": false, "good>=90%": true, "good>=90.0001%": false, "shed<=4%": true, "shed<=3.9999%": false, "late>=1%": true, "late<=0%": false, "good>=100%": false,
	} {
		slo, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if v := slo.measured(c); v.Met != met || v.SLO != in {
			t.Errorf("%s: %+v, want met: %v", in, v, met)
		}
		for _, empty := range []*measure.Cell{nil, measure.NewCell()} {
			if v := slo.measured(empty); v.Met {
				t.Errorf("%s of no requests: %+v", in, v)
			}
		}
	}
	all := measure.NewCell()
	all.Add(measure.Good, 200, time.Millisecond)
	if slo, _ := Parse("good>100%"); !slo.measured(all).Met {
		t.Error("all were good, and good>100% is not met")
	}
}

func TestLateAfter(t *testing.T) {
	t.Parallel()
	list := slos(t, "p50<10ms", "p99<250ms", "good>99%", "p99(batch)<500ms", "max(get)<1s", "p50(get)<1ms")
	for scenario, want := range map[string]time.Duration{"list": 250 * time.Millisecond, "batch": 500 * time.Millisecond, "get": time.Second} {
		if got := LateAfter(list, scenario); got != want {
			t.Errorf("%s is late after %s, want %s", scenario, got, want)
		}
	}
	if got := LateAfter(slos(t, "p99<=250ms"), "get"); got != 250*time.Millisecond+1 {
		t.Errorf("late after %s, want the first beyond the bound", got)
	}
	if got := LateAfter(slos(t, "good>99%"), "get"); got != 0 {
		t.Errorf("late after %s without a latency SLO", got)
	}
}

// A cold start or a burst of failures is no clear verdict; a lasting failure is. The same for a
// scenario's SLO.
func TestClear(t *testing.T) {
	t.Parallel()
	for _, objective := range []string{"good>99%", "good(get)>99%"} {
		for _, tt := range []struct {
			name  string
			bad   func(second int) int // of 100 requests
			clear []int                // seconds after which it is clear, if it ever is
		}{
			{"all is well", func(int) int { return 0 }, []int{13}},
			{"a cold start", func(s int) int { return map[int]int{0: 90}[s] }, nil},
			{"one burst", func(s int) int { return map[int]int{9: 100}[s] }, nil},
			{"it fails", func(int) int { return 50 }, []int{5}},
		} {
			o := slos(t, objective)[0]
			requests := measure.NewCollector([]string{"get"}, []string{"get"}, time.Second, 1)
			var clear []int
			for s := range 15 {
				for i := range 100 {
					r := measure.Request{Scenario: "get", Class: measure.Good, Status: 200, Scheduled: time.Duration(s) * time.Second, Response: time.Millisecond, Service: time.Millisecond}
					if i < tt.bad(s) {
						r.Class, r.Status = measure.Failed, 500
					}
					requests.Add(r)
				}
				if o.Outlook(requests.Of(o.Scenario())).Clear && len(clear) == 0 {
					clear = append(clear, s+1)
				}
			}
			if !slices.Equal(clear, tt.clear) {
				t.Errorf("%s, %s: clear after %v s, want %v", objective, tt.name, clear, tt.clear)
			}
		}
	}
}

// The interval of a share is exactly 0 or 1 at its end without hits or with hits only: a step
// without failures passes, for any number of requests.
func TestWilson(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 20_000; n++ {
		for _, z := range []float64{steadyBy, clearBy} {
			if low, high := wilson(0, float64(n), z); low != 0 || !(high > 0 && high <= 1) {
				t.Fatalf("wilson(0, %d, %g) = %v, %v, want from 0", n, z, low, high)
			}
			if low, high := wilson(float64(n), float64(n), z); high != 1 || !(low >= 0 && low < 1) {
				t.Fatalf("wilson(%d, %d, %g) = %v, %v, want to 1", n, n, z, low, high)
			}
			for _, hits := range []float64{float64(n) / 3, float64(n) / 2} {
				if low, high := wilson(hits, float64(n), z); !(low >= 0 && low <= hits/float64(n) && high >= hits/float64(n) && high <= 1) {
					t.Fatalf("wilson(%g, %d, %g) = %v, %v, want around it", hits, n, z, low, high)
				}
			}
		}
	}
}

// Bounds of 0% and 100% are met by none and all, for any number of requests.
func TestSteadyOfPerfectSteps(t *testing.T) {
	t.Parallel()
	list := slos(t, "max<5s", "p100<5s", "failed<0%", "shed<0%", "good>100%")
	i := measure.NewInterval()
	for n := 1; n <= 20_000; n++ {
		i.Add(measure.Good, time.Millisecond)
		for _, s := range list {
			if !s.steady([]*measure.Interval{i}) {
				t.Fatalf("%s is not met in the last third of %d good requests", s, n)
			}
		}
	}
}

// A share equal to its bound is neither below nor above it, with any rounding error.
func TestMeets(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 2000; n++ {
		for hits := 0; hits <= n; hits += max(n/7, 1) {
			share := float64(hits) / float64(n)
			written := 100 * share / 100 // as Parse reads it
			for _, s := range []Objective{{below: true, share: written}, {share: written}} {
				if want := s.below && hits == 0 || !s.below && hits == n; s.meets(share) != want {
					t.Fatalf("%d of %d: %+v is met: %v, want %v", hits, n, s, !want, want)
				}
			}
		}
	}
	if s := slos(t, "good>99.9%")[0]; s.meets(0.999) || !s.meets(0.99901) {
		t.Errorf("%s of 99.9%% is met: %v, of 99.901%%: %v", s, s.meets(0.999), s.meets(0.99901))
	}
}

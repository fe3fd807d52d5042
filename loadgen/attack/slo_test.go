package attack

import (
	"slices"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func TestParseSLO(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"p99<250ms", "p99.9<1s", "p99(get)<50ms", "max<2s", "good>99.9%", "failed<1%", "shed(list)<5%", "late < 1%", "good(create)>0%"} {
		if _, err := ParseSLO(good); err != nil {
			t.Errorf("ParseSLO(%q): %v", good, err)
		}
	}
	for in, want := range map[string]string{
		"":               `"" is not like p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99":            `"p99" is not like p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99<250":        `"p99<250" is not like p99<250ms, p99(get)<50ms or good>99.9%`,
		"p99<=250ms":     `"p99<=250ms" is not like p99<250ms, p99(get)<50ms or good>99.9%`,
		"p0<1s":          `"p0<1s": the percentile must be above 0 and up to 100`,
		"p101<1s":        `"p101<1s": the percentile must be above 0 and up to 100`,
		"p9.9.9<1s":      `"p9.9.9<1s": the percentile must be above 0 and up to 100`,
		"p99>1s":         `"p99>1s": a response time must be below a duration, as in p99<250ms`,
		"p99<0s":         `"p99<0s": a response time must be below a duration, as in p99<250ms`,
		"p99<5%":         `"p99<5%": a response time must be below a duration, as in p99<250ms`,
		"good>99ms":      `"good>99ms": the share must be from 0% to 100%`,
		"good>101%":      `"good>101%": the share must be from 0% to 100%`,
		"p99(fetch)<1ms": `"p99(fetch)<1ms": there is no scenario fetch`,
	} {
		if _, err := ParseSLO(in); err == nil || err.Error() != want {
			t.Errorf("ParseSLO(%q) = %v, want %s", in, err, want)
		}
	}
}

func FuzzParseSLO(f *testing.F) {
	for _, s := range []string{"p99<250ms", "good(get)>99.9%", "max<1h", "p100<1ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		slo, err := ParseSLO(s)
		if err != nil {
			return
		}
		if (slo.quantile > 0) == (slo.class != "") || slo.quantile > 1 || slo.share < 0 || slo.share > 1 || slo.quantile > 0 && slo.bound <= 0 {
			t.Errorf("ParseSLO(%q) = %+v", s, slo)
		}
		if again, err := ParseSLO(slo.String()); err != nil || again != slo {
			t.Errorf("ParseSLO(%q) = %+v, again %+v, %v", s, slo, again, err)
		}
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	c := newCell()
	for i := range 90 {
		c.add(Good, 200, time.Duration(i+1)*time.Millisecond)
	}
	c.add(Late, 200, 500*time.Millisecond)
	for range 4 {
		c.add(Shed, 503, time.Microsecond)
	}
	for range 5 {
		c.add(Failed, 0, 10*time.Second)
	}
	for in, met := range map[string]bool{
		"p50<46.1ms": true, "p50<45ms": false, "max<501ms": true, "max<500ms": false, "p99<90ms": false,
		"good>89%": true, "good>90%": false, "late<2%": true, "late<1%": false, "shed<5%": true, "shed<4%": false, "failed<5%": false, "failed<5.1%": true,
		"good>100%": false,
	} {
		slo, err := ParseSLO(in)
		if err != nil {
			t.Fatal(err)
		}
		if v := slo.judge(c); v.Met != met || v.SLO != in {
			t.Errorf("%s: %+v, want met: %v", in, v, met)
		}
		for _, empty := range []*cell{nil, newCell()} {
			if v := slo.judge(empty); v.Met {
				t.Errorf("%s of no requests: %+v", in, v)
			}
		}
	}
	all := newCell()
	all.add(Good, 200, time.Millisecond)
	if slo, _ := ParseSLO("good>100%"); !slo.judge(all).Met {
		t.Error("all were good, and good>100% is not met")
	}
}

func TestLateAfter(t *testing.T) {
	t.Parallel()
	list := slos(t, "p50<10ms", "p99<250ms", "good>99%", "p99(batch)<500ms", "max(get)<1s", "p50(get)<1ms")
	for scenario, want := range map[string]time.Duration{"list": 250 * time.Millisecond, "batch": 500 * time.Millisecond, "get": time.Second} {
		if got := lateAfter(list, scenario); got != want {
			t.Errorf("%s is late after %s, want %s", scenario, got, want)
		}
	}
	if got := lateAfter(slos(t, "good>99%"), "get"); got != 0 {
		t.Errorf("late after %s without an objective about times", got)
	}
}

// A cold start and a burst of failures are no verdict; a failure that lasts is. The same
// goes for one scenario's.
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
			c := Config{Plan: steady(100, time.Minute), MaxWorkers: 9, Mix: Mix{"get": 1}, SLOs: slos(t, objective)}
			k := testCollector(t, c)
			var clear []int
			for s := range 15 {
				for i := range 100 {
					n := &note{scenario: scenarios["get"], want: 200, due: began.Add(time.Duration(s) * time.Second)}
					code := uint16(200)
					if i < tt.bad(s) {
						code = 500
					}
					k.add(&vegeta.Result{Timestamp: n.due, Latency: time.Millisecond, Code: code}, n)
				}
				if o := k.outlooks()[0]; o.Clear && len(clear) == 0 {
					clear = append(clear, s+1)
				}
			}
			if !slices.Equal(clear, tt.clear) {
				t.Errorf("%s, %s: clear after %v s, want %v", objective, tt.name, clear, tt.clear)
			}
		}
	}
}

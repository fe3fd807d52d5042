package compare

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"soundcheck/internal/golden"
)

func TestStudent(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]float64{8: 2.3646, 10: 2.2622, 31: 2.0423, 1000: 1.9623} {
		if got := student(z95, n); math.Abs(got-want) > 0.01 {
			t.Errorf("student(%d) = %.4f, want %.4f", n, got, want)
		}
	}
	if got := expanded(1_000_000); math.Abs(got-0.025) > 1e-4 {
		t.Errorf("expanded(many) = %g, want 0.025", got)
	}
}

// target generates blocks with response times around 10 ms. Wobble is the spread of seconds,
// spread that of requests, both as standard deviations of the logarithm.
type target struct {
	rng            *rand.Rand
	wobble, spread float64
	requests       int // in a block
}

func (t target) block(factor float64) Block {
	b := Block{Good: t.requests, Seconds: 1}
	median := 10e6 * factor * math.Exp(t.wobble*t.rng.NormFloat64())
	for range t.requests {
		b.Served = append(b.Served, Times{int64(median * math.Exp(t.spread*t.rng.NormFloat64())), 1})
	}
	return b
}

func (t target) blocks(n int, factor float64) (list []Block) {
	for range n {
		list = append(list, t.block(factor))
	}
	return list
}

func newTarget(seed uint64) target {
	return target{rand.New(rand.NewPCG(seed, 7)), 0.03, 0.3, 100}
}

func sides(a, b []Block) comparison {
	return comparison{A: Side{Name: "one", Blocks: a}, B: Side{Name: "two", Blocks: b}, Tolerance: 0.05}
}

func metric(t *testing.T, r *Result, name string) Metric {
	t.Helper()
	i := slices.IndexFunc(r.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		t.Fatalf("no metric %s in %+v", name, r)
	}
	return r.Metrics[i]
}

// Both designs detect known differences, with their sign.
func TestKnownDifference(t *testing.T) {
	t.Parallel()
	failing := func(list []Block, by int) []Block {
		for i := range list {
			list[i].Good -= by
		}
		return list
	}
	tg := newTarget(1)
	tg.requests = 300
	for _, tt := range []struct {
		name          string
		a, b          []Block
		p50, goodput  Verdict
		times, served float64 // differences
		overall       Verdict
	}{
		{"same", tg.blocks(100, 1), tg.blocks(100, 1), Same, Same, 0, 0, Same},
		{"slower", tg.blocks(100, 1), tg.blocks(100, 1.2), Regressed, Same, 0.2, 0, Regressed},
		{"faster", tg.blocks(100, 1), tg.blocks(100, 0.8), Better, Same, -0.2, 0, Better},
		{"failing", tg.blocks(100, 1), failing(tg.blocks(100, 1), 30), Same, Regressed, 0, -0.1, Regressed},
		{"no longer failing", failing(tg.blocks(100, 1), 60), tg.blocks(100, 1), Same, Better, 0, 0.25, Better},
	} {
		for design, compare := range map[string]func(comparison) *Result{"runs": comparison.runs, "abba": comparison.quads} {
			r := compare(sides(tt.a, tt.b))
			p50, goodput := metric(t, r, "p50"), metric(t, r, "goodput")
			if r.Design != design || r.Verdict != tt.overall || p50.Verdict != tt.p50 || goodput.Verdict != tt.goodput {
				t.Errorf("%s, %s: %s, %+v, want %s, p50 %s, goodput %s", tt.name, design, r.Verdict, r.Metrics, tt.overall, tt.p50, tt.goodput)
				continue
			}
			for _, m := range []struct{ got, want float64 }{{p50.Found.Difference, tt.times}, {metric(t, r, "p99").Found.Difference, tt.times}, {goodput.Found.Difference, tt.served}} {
				if math.Abs(m.got-m.want) > 0.03 {
					t.Errorf("%s, %s: difference %.3f, want %.3f", tt.name, design, m.got, m.want)
				}
			}
			if f := goodput.Found; tt.served != 0 && (f.Low > tt.served+1e-9 || f.High < tt.served-1e-9) {
				t.Errorf("%s, %s: goodput's interval %+v is not around %g", tt.name, design, f, tt.served)
			}
		}
	}
}

// Equal blocks on both sides are the same, deterministically.
func TestIdentical(t *testing.T) {
	t.Parallel()
	tg := newTarget(2)
	tg.wobble, tg.requests = 0.005, 1000
	list := tg.blocks(40, 1)
	r := sides(list, list).runs()
	for _, m := range r.Metrics {
		if m.A != m.B || m.Found.Difference != 0 || m.Verdict != Same {
			t.Errorf("%+v %+v, want no difference", m, m.Found)
		}
	}
	if r.Verdict != Same {
		t.Errorf("verdict %s, want same", r.Verdict)
	}
	if again := sides(list, list).runs(); *again.Metrics[1].Found != *r.Metrics[1].Found {
		t.Errorf("%+v, then %+v", r.Metrics[1].Found, again.Metrics[1].Found)
	}
}

// Coverage and power: about 95% of the intervals of two equal targets contain 0, nearly all
// comparisons detect 20%, about 80% detect the smallest effect.
func TestCoverage(t *testing.T) {
	t.Parallel()
	const times, blocks = 200, 30
	for design, compare := range map[string]func(comparison) *Result{"runs": comparison.runs, "abba": comparison.quads} {
		t.Run(design, func(t *testing.T) {
			t.Parallel()
			contain, smallest, regressed := map[string]int{}, map[string]float64{}, 0
			for i := range uint64(times) {
				tg := newTarget(100 + i)
				n := blocks
				if design == "abba" {
					n = 4 * MinUnits
				}
				r := compare(sides(tg.blocks(n, 1), tg.blocks(n, 1)))
				for _, m := range r.Metrics {
					if f := m.Found; f.Low <= 0 && f.High >= 0 {
						contain[m.Name]++
					}
					smallest[m.Name] += m.Found.Smallest / times
				}
				if i%4 == 0 && compare(sides(tg.blocks(n, 1), tg.blocks(n, 1.2))).Verdict == Regressed {
					regressed++
				}
			}
			for _, name := range []string{"p50", "p99"} {
				if share := float64(contain[name]) / times; share < 0.88 || share > 0.99 {
					t.Errorf("%s: %.1f%% of the intervals contain 0, want about 95%%", name, 100*share)
				}
			}
			if contain["goodput"] != times {
				t.Errorf("goodput: %d of %d intervals contain 0, want all: nothing failed", contain["goodput"], times)
			}
			if regressed < times/4*9/10 {
				t.Errorf("20%% was found %d times of %d", regressed, times/4)
			}
			found := 0
			for i := range uint64(times / 2) {
				tg := newTarget(5000 + i)
				r := compare(sides(tg.blocks(blocks, 1), tg.blocks(blocks, 1+smallest["p50"])))
				if metric(t, r, "p50").Found.Low > 0 {
					found++
				}
			}
			if found < times/2*65/100 || found > times/2*95/100 {
				t.Errorf("the smallest effect of p50, %.1f%%, was found %d times of %d, want about 80%%", 100*smallest["p50"], found, times/2)
			}
			t.Logf("contain 0: %v of %d; smallest effects %v; 20%% found %d of %d, the smallest effect %d of %d", contain, times, smallest, regressed, times/4, found, times/2)
		})
	}
}

// A linear drift affects both sides of a quad equally. Two consecutive runs differ by it.
func TestDrift(t *testing.T) {
	t.Parallel()
	tg := newTarget(3)
	var abba [2][]Block
	var list []Block
	for i := range 120 {
		b := tg.block(1 + 2*float64(i)/120) // three times slower in the end
		arm := []int{0, 1, 1, 0}[i%4]
		abba[arm] = append(abba[arm], b)
		list = append(list, b)
	}
	r := sides(abba[0], abba[1]).quads()
	for _, m := range r.Metrics {
		if m.Verdict == Regressed || m.Verdict == Better || m.Found.Low > 0 || m.Found.High < 0 {
			t.Errorf("%s: %s, %+v, want no difference", m.Name, m.Verdict, m.Found)
		}
	}
	if r := sides(list[:60], list[60:]).runs(); r.Verdict != Regressed {
		t.Errorf("one after the other: %s, want regressed", r.Verdict)
	}
}

// No interval without enough data.
func TestNoInterval(t *testing.T) {
	t.Parallel()
	tg := newTarget(4)
	empty := slices.Repeat([]Block{{Seconds: 1}}, 40)
	small := tg
	small.requests = 10
	for _, tt := range []struct {
		name    string
		r       *Result
		metric  string
		want    string
		verdict Verdict
	}{
		{"few blocks", sides(tg.blocks(15, 1), tg.blocks(40, 3)).runs(), "p50", "too few blocks: 15 and 40; each run needs 16", Inconclusive},
		{"no blocks", sides(nil, nil).runs(), "goodput", "too few blocks: 0 and 0; each run needs 16", Inconclusive},
		{"few quads", sides(tg.blocks(15, 1), tg.blocks(15, 3)).quads(), "p50", "too few quads: 7; 8 are needed", Inconclusive},
		{"few requests", sides(small.blocks(40, 1), small.blocks(40, 1)).runs(), "p99", "too few served requests: 400 and 400; p99 needs 1000", Inconclusive},
		{"nothing served by A", sides(empty, tg.blocks(40, 1)).runs(), "goodput", "0 in A: no relative difference", Inconclusive},
		{"nothing served by B", sides(tg.blocks(40, 1), empty).runs(), "p50", "too few served requests: 4000 and 0; p50 needs 20", Regressed},                                                                         // in goodput
		{"little served by B", sides(tg.blocks(40, 1), append(slices.Clone(empty[1:]), tg.block(1))).runs(), "p50", "slowest 50% in too few bursts: effectively 39.5 blocks of A, 1.0 of B; 6 are needed", Regressed}, // in goodput
	} {
		m := metric(t, tt.r, tt.metric)
		if tt.r.Verdict != tt.verdict || m.Verdict != Inconclusive || m.Found != nil || m.NotFound != tt.want {
			t.Errorf("%s: %s; %s %s, %+v, %q, want %s, inconclusive, none, %q", tt.name, tt.r.Verdict, m.Name, m.Verdict, m.Found, m.NotFound, tt.verdict, tt.want)
		}
		if err := tt.r.WriteJSON(io.Discard); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Blocks are weighted by their duration, requests by their count.
func TestWeights(t *testing.T) {
	t.Parallel()
	many := []Block{{Good: 100, Seconds: 1, Served: []Times{{1e6, 90}, {5e6, 10}}}, {Good: 50, Seconds: 0.5, Served: []Times{{1e6, 49}, {9e6, 1}}}}
	s := Side{Blocks: many}
	d := newSide(&s)
	if s.Seconds != 1.5 || s.Good != 150 || s.Served != 150 {
		t.Errorf("%+v", s)
	}
	for i, want := range []float64{0.001, 0.005, 100} {
		if got := d.value(nil, i); got != want {
			t.Errorf("%s = %g, want %g", metrics[i].name, got, want)
		}
	}
	if got := d.value([]float64{0, 2}, 1); got != 0.009 {
		t.Errorf("p99 of the second alone = %g, want 0.009", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	tg := newTarget(5)
	list := tg.blocks(20, 1)
	d := newSide(&Side{Blocks: list})
	for range 50 {
		var all []int64
		weights := make([]float64, len(list))
		for i := range weights {
			n := rng.IntN(3)
			weights[i] = float64(n)
			for range n {
				for _, s := range list[i].Served {
					all = append(all, s.Value)
				}
			}
		}
		slices.Sort(all)
		for _, q := range []float64{0.5, 0.99} {
			want := float64(all[int(math.Ceil(q*float64(len(all))-1e-9))-1]) / 1e9
			if got := d.quantile(weights, q); got != want {
				t.Errorf("quantile(%g) = %g, want %g", q, got, want)
			}
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	tg := newTarget(6)
	slow := sides(tg.blocks(30, 1), tg.blocks(30, 1.2))
	slow.Warnings = []string{"the mixes differ"}
	broken := sides(tg.blocks(80, 1), tg.blocks(80, 1))
	broken.Invalid = []string{"A: p99 send delay 3.00 ms, limit 2.00 ms"}
	for name, r := range map[string]*Result{"regressed": slow.runs(), "invalid": broken.quads(), "few": sides(tg.blocks(3, 1), tg.blocks(30, 1)).runs()} {
		for suffix, write := range map[string]func(io.Writer) error{".txt": r.Write, ".json": r.WriteJSON, ".md": r.WriteMarkdown, ".github": r.WriteGitHub} {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/"+name+suffix, got.Bytes())
			if err := write(full{}); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("writing to a full disk = %v, want %v", err, syscall.ENOSPC)
			}
		}
		for _, want := range map[string][]string{"regressed": {"B regressed: p50 +"}, "invalid": {"comparison inconclusive: A: p99 send delay"}, "few": {"comparison inconclusive: p50: too few blocks"}}[name] {
			if got := r.Summary(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: Summary() = %q, want %q and more", name, got, want)
			}
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

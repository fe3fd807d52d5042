package measure

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"soundcheck/loadgen/explain"
)

// The slow sample has the slowest requests, the typical one those near the median. They are
// disjoint.
func TestSampler(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ n, want int }{{10, 0}, {19, 0}, {20, 5}, {79, 19}, {80, 20}, {10_000, 20}} {
		s := &sampler{rng: rand.New(rand.NewPCG(1, 1))}
		order := rand.New(rand.NewPCG(2, 2)).Perm(tt.n)
		for _, i := range order {
			s.add(explain.Request{TraceID: fmt.Sprint(i), Response: time.Duration(i) * time.Millisecond})
		}
		g, ok := s.group("get", time.Duration(tt.n/2)*time.Millisecond)
		if ok != (tt.want > 0) || len(g.Slow) != tt.want || len(g.Typical) != tt.want {
			t.Errorf("of %d: %d slow, %d typical, %v, want %d", tt.n, len(g.Slow), len(g.Typical), ok, tt.want)
			continue
		}
		for i, r := range g.Slow {
			if r.Response != time.Duration(tt.n-1-i)*time.Millisecond {
				t.Errorf("of %d: slow %d is %s", tt.n, i, r.Response)
			}
		}
		for _, r := range g.Typical {
			if off := (r.Response - time.Duration(tt.n/2)*time.Millisecond).Abs(); off > time.Duration(max(tt.n/10, 25))*time.Millisecond {
				t.Errorf("of %d: %s is taken for typical", tt.n, r.Response)
			}
		}
	}
}

package measure

import (
	"math"
	"testing"
	"time"
)

// Two distant modes, as of a cache: interpolation between them, as of a t-digest, is off by a
// multiple.
func TestTimes(t *testing.T) {
	t.Parallel()
	times := NewTimes()
	for i := range 10_000 {
		d := time.Millisecond
		if i >= 9975 {
			d = 777_777 * time.Microsecond
		}
		times.Add(d)
	}
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{
		{0.5, time.Millisecond},
		{0.997, time.Millisecond},
		{0.998, 777_777 * time.Microsecond},
		{1, 777_777 * time.Microsecond},
	} {
		if got := times.Quantile(tt.q); math.Abs(float64(got-tt.want)) > float64(tt.want)/1000 {
			t.Errorf("quantile %g = %s, want %s to three digits", tt.q, got, tt.want)
		}
	}
	if times.longest != 777_777*time.Microsecond {
		t.Errorf("longest %s, want 777.777ms", times.longest)
	}
}

func TestTimesBounds(t *testing.T) {
	t.Parallel()
	times := NewTimes()
	if got := times.Quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %s, want 0", got)
	}
	times.Add(-time.Second)
	times.Add(0)
	times.Add(48 * time.Hour)
	if got := times.hist.TotalCount(); got != 3 {
		t.Errorf("%d times counted, want 3", got)
	}
}

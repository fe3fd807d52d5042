package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// waiting is a coordinator without a server, on a fake clock, and what it has reported.
type waiting struct {
	*Coordinator
	lines []string
	here  []int
}

func newWaiting(workers int, missing func() (map[int]string, bool)) *waiting {
	w := &waiting{Coordinator: NewCoordinator(workers, testToken)}
	w.Log = func(line string) { w.lines = append(w.lines, time.Now().Format("05s ")+line) }
	if missing != nil {
		w.Missing = func(context.Context) (map[int]string, bool) { return missing() }
	}
	return w
}

func (w *waiting) wait(ctx context.Context) error {
	return w.Wait(ctx, time.Minute, func(here int) { w.here = append(w.here, here) })
}

// come lets a worker join.
func (w *waiting) come(t *testing.T, index int) *member {
	m := &member{stream: newStream(nil, nil, nil, 0), index: index, gone: make(chan struct{})}
	if err := w.add(m); err != nil {
		t.Error(err)
	}
	return m
}

// Wait reports each worker that comes or leaves, and says a reason once.
func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reasons := map[int]string{1: "pod x-1: Pending"}
		w := newWaiting(3, func() (map[int]string, bool) { return reasons, false })
		go func() {
			time.Sleep(time.Second)
			w.come(t, 0)
			synctest.Wait()
			leaves := w.come(t, 2)
			time.Sleep(20 * time.Second) // a reason that does not change is logged once
			w.remove(leaves)
			time.Sleep(5 * time.Second)
			w.come(t, 1)
			synctest.Wait()
			w.come(t, 2)
		}()
		if err := w.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := slices.Compact(w.here); !slices.Equal(got, []int{0, 1, 2, 1, 2, 3}) {
			t.Errorf("workers %v", got)
		}
		want := []string{"05s 2 of 3 workers are connected: worker 1: pod x-1: Pending", "25s 1 of 3 workers are connected: worker 1: pod x-1: Pending; worker 2: not connected"}
		if !slices.Equal(w.lines, want) {
			t.Errorf("lines %q, want %q", w.lines, want)
		}
	})
}

// Wait ends after its timeout, when a pod has ended, and with its context.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	many := map[int]string{}
	for i := range 100 {
		many[i] = fmt.Sprintf("pod x-%d: Pending", i)
	}
	for name, tc := range map[string]struct {
		workers int
		missing func() (map[int]string, bool)
		after   time.Duration
		want    string
	}{
		"timeout":         {2, nil, time.Minute, "0 of 2 workers are connected after 1m0s: workers 0, 1: not connected"},
		"many":            {100, func() (map[int]string, bool) { return many, false }, time.Minute, "0 of 100 workers are connected after 1m0s: worker 0: pod x-0: Pending; worker 1: pod x-1: Pending; worker 2: pod x-2: Pending; worker 3: pod x-3: Pending; worker 4: pod x-4: Pending; 95 more"},
		"a known reason":  {100, func() (map[int]string, bool) { return map[int]string{70: "pod x-70: Pending"}, false }, time.Minute, "0 of 100 workers are connected after 1m0s: worker 70: pod x-70: Pending; workers 0, 1, 2, 3, 4 and 94 more: not connected"},
		"a pod has ended": {100, func() (map[int]string, bool) { return map[int]string{70: "pod x-70: OOMKilled"}, true }, sayMissing, "0 of 100 workers are connected: worker 70: pod x-70: OOMKilled; workers 0, 1, 2, 3, 4 and 94 more: not connected"},
		"unknown pods":    {100, func() (map[int]string, bool) { return map[int]string{everyone: "pods unknown: 403"}, false }, time.Minute, "workers 0, 1, 2, 3, 4 and 95 more: not connected; pods unknown: 403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w := newWaiting(tc.workers, tc.missing)
				err := w.wait(t.Context())
				if err == nil || !strings.Contains(err.Error(), tc.want) || time.Since(began) != tc.after {
					t.Errorf("%v after %s, want %s after %s", err, time.Since(began), tc.want, tc.after)
				}
				if len(w.lines) > 1 {
					t.Errorf("%d lines: %q", len(w.lines), w.lines)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newWaiting(2, nil).wait(ctx); err == nil || err.Error() != "interrupted: 0 of 2 workers were connected" {
		t.Errorf("interrupted: %v", err)
	}
}

// A report has a bounded number of reasons.
func TestFew(t *testing.T) {
	t.Parallel()
	var reasons []string
	for n := range 1000 {
		got := few(slices.Clone(reasons))
		if n <= maxReasons && !slices.Equal(got, reasons) {
			t.Errorf("%d reasons: %q", n, got)
		}
		if n > maxReasons && (len(got) != maxReasons || !slices.Equal(got[:maxReasons-1], reasons[:maxReasons-1]) || got[maxReasons-1] != fmt.Sprintf("%d more reasons", n-maxReasons+1)) {
			t.Errorf("%d reasons: %q", n, got)
		}
		reasons = append(reasons, fmt.Sprintf("worker %d was lost", n))
	}
}

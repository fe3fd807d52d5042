package engine

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/workload"
)

// These tests are not parallel: other tests allocate memory.

// maxGrowth is the max growth of the heap after the first tenth of a run: for wider intervals
// and new histogram buckets.
const maxGrowth = 8 << 20

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func wantFlat(t *testing.T, first, last uint64) {
	t.Helper()
	t.Logf("heap %.1f MB after a tenth, %.1f MB at the end", float64(first)/(1<<20), float64(last)/(1<<20))
	if last > first+maxGrowth {
		t.Errorf("heap %d bytes after a tenth, %d at the end, want at most %d more", first, last, maxGrowth)
	}
}

// Measurements of 5 hours at 200 req/s with failures.
func TestMemoryOfMeasurements(t *testing.T) {
	const requests = 5 * 3600 * 200
	k := testCollector(t, Config{Plan: steady(200, 5*time.Hour), MaxWorkers: 1024, Workload: workload.Workload{Mix: workload.Mix{"get": 1, "list": 1}}, Seed: 1})
	r, first := rand.New(rand.NewPCG(1, 0)), uint64(0)
	kinds := [2]*workload.Request{request(t, "get"), request(t, "list")}
	for i := range uint64(requests) {
		if i == requests/10 {
			first = heapInUse()
		}
		scheduled := began.Add(time.Duration(i) * 5 * time.Millisecond)
		n := &note{seq: i, request: kinds[i%2], scheduled: scheduled, sent: scheduled, status: 200, took: measure.Seconds(2e-3 * math.Exp(0.25*r.NormFloat64()))}
		if i%100 == 0 {
			n.status = 500 + r.IntN(5)
		}
		k.add(n)
	}
	wantFlat(t, first, heapInUse())
	if k.Report.Sent != requests {
		t.Errorf("%d requests, want %d", k.Report.Sent, requests)
	}
	runtime.KeepAlive(k)
}

// A complete run of 3 hours at 10/s, with retries of shed requests, timeouts and created albums.
func TestMemoryOfAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 3 * time.Hour
		var first, last uint64
		c := Config{Plan: steady(10, d), Retry: retry.Honour}
		c.Progress = func(p Progress) {
			switch p.Elapsed {
			case d / 10:
				first = heapInUse()
			case d - 10*time.Second: // when promises were given, but requests are not over
				last = heapInUse()
			}
		}
		r := fakeAttack(t, t.Context(), c, func(at time.Duration) served {
			switch n := at / (100 * time.Millisecond) % 100; {
			case n < 5:
				return served{after: time.Millisecond, status: 503, retryAfter: "1"}
			case n == 50:
				return served{after: time.Hour}
			}
			return served{after: time.Millisecond + at%time.Second/10}
		})
		wantFlat(t, first, last)
		if r.Sent != 108_000 || r.Retries.Requests == 0 || r.Errors["timeout"] == 0 {
			t.Errorf("%d sent, %+v, errors %v", r.Sent, r.Retries, r.Errors)
		}
	})
}

package service

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// Allocations per GET /albums/{id} of the handlers, with the export of their telemetry. More than
// this is a regression: find it with
//
//	go test ./internal/service -run '^$' -bench Get/store/all -memprofile mem -memprofilerate 512
//	go tool pprof -sample_index=alloc_objects -top mem
const (
	maxStore        = 58
	maxPair         = 240
	maxDisabled     = 10
	maxPairDisabled = 140
)

func TestAllocationsAlone(t *testing.T) {
	if os.Getenv("SOUNDCHECK_ALONE") == "" {
		t.Skip("counts the allocations of the process; runs with SOUNDCHECK_ALONE=1")
	}
	for _, tt := range []struct {
		disabled    bool
		store, pair float64
	}{{false, maxStore, maxPair}, {true, maxDisabled, maxPairDisabled}} {
		t.Run(fmt.Sprint("SDK disabled ", tt.disabled), func(t *testing.T) {
			store, pair := handlers(t, tt.disabled)
			if n := allocations(func(n int) { serveGet(store, n) }); n > tt.store {
				t.Errorf("%.1f allocations per request of the store, want at most %.0f", n, tt.store)
			}
			if n := allocations(func(n int) { serveGet(pair, n) }); n > tt.pair {
				t.Errorf("%.1f allocations per request of the pair, want at most %.0f", n, tt.pair)
			}
		})
	}
}

// allocations returns the number per request, of all goroutines: exports are in the background.
func allocations(serve func(n int)) float64 {
	const requests = 5000
	serve(100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	serve(requests)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / requests
}

package traces

import (
	"net/http"
	"time"
)

// Files of traces that are in memory: one of 32 MiB needs about 170 MiB of heap until the response is written.
const (
	maxFiles = 2
	fileWait = 10 * time.Second // for one of the others to end
)

// LimitFiles limits how many files next reads at once. Another one waits, and its body stays at the client; busy responds
// if it waits too long.
func LimitFiles(next, busy http.HandlerFunc) http.HandlerFunc {
	return limit(maxFiles, fileWait, next, busy)
}

func limit(most int, wait time.Duration, next, busy http.HandlerFunc) http.HandlerFunc {
	slots := make(chan struct{}, most)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next(w, r)
		case <-r.Context().Done():
		case <-time.After(wait):
			busy(w, r)
		}
	}
}

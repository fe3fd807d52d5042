package traces

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Few files are read at once: another one waits for its turn, or is told to come again.
func TestLimitFiles(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]int{time.Millisecond: 429, time.Hour: 200} {
		entered, leave := make(chan struct{}, 3), make(chan struct{})
		h := limit(2, wait, func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-leave
		}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) })
		codes := make(chan int, 3)
		send := func() {
			w := httptest.NewRecorder()
			h(w, httptest.NewRequest(http.MethodPost, "/", nil))
			codes <- w.Code
		}
		go send()
		go send()
		<-entered
		<-entered
		go send()
		if want == 429 {
			if code := <-codes; code != 429 {
				t.Errorf("the third one after %s: %d", wait, code)
			}
		}
		select {
		case <-entered:
			t.Error("three are read at once")
		default:
		}
		close(leave)
		for range cap(codes) - map[int]int{429: 1}[want] {
			if code := <-codes; code != 200 {
				t.Errorf("one that waits for up to %s: %d", wait, code)
			}
		}
	}
}

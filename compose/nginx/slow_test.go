package nginx_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSlow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); srv.Close() })
	// As configured, but not as long.
	e := start(t, srv.Listener.Addr().String(), "proxy_read_timeout 55s;", "proxy_read_timeout 100ms;")
	if status, _, body := send(t, "GET", e.url+"/albums", ""); status != 504 || !strings.Contains(string(body), `"status":504`) {
		t.Errorf("%d %s, want a problem of 504", status, body)
	}
}

// A stream reaches the client as it comes.
func TestStream(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-next
		fmt.Fprintln(w, "second")
	}))
	t.Cleanup(srv.Close)
	e := start(t, srv.Listener.Addr().String())
	resp, err := http.Get(e.url + "/albums")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(next)
	if line, err := r.ReadString('\n'); line != "second\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
}

// A client that does not read holds up the proxy's stream: nothing is put aside for it,
// in a container whose only room is memory.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const most, all = 32, 256 // MiB: the sockets on the way hold less than that
	taken := make(chan int, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk, n := make([]byte, 1<<20), 0
		for ; n < all; n++ {
			// Of each one: it ends when nothing moves, however fast it was until then.
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(3 * time.Second))
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		taken <- n
	}))
	t.Cleanup(srv.Close)
	e := start(t, srv.Listener.Addr().String())
	resp, err := http.Get(e.url + "/albums")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n := <-taken; n > most {
		t.Errorf("%d MiB were taken from the proxy while the client read nothing, want %d at most", n, most)
	}
}

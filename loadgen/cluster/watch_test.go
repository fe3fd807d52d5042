package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// watching opens a stream of messages. It returns when the coordinator has the watcher.
func watching(t *testing.T, ctx context.Context, c *http.Client, url string) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp.Body
}

// clients are those of a watcher: HTTP/1.1 is that behind kubectl port-forward.
func clients(t *testing.T) map[string]*http.Client {
	all := map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": client()}
	t.Cleanup(func() {
		for _, c := range all {
			c.CloseIdleConnections()
		}
	})
	return all
}

type numbered struct{ N int }

// linesOf reads a stream to its end.
func linesOf(t *testing.T, r io.Reader) (list []string) {
	t.Helper()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		list = append(list, lines.Text())
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
	return list
}

// A watcher gets the messages in their order, and the last one; one that comes late gets the last one.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := begin(t, nil)
			watchers := []io.Reader{watching(t, t.Context(), c, l.url), watching(t, t.Context(), c, l.url)}
			for i := range 3 {
				if err := l.Publish(numbered{i}); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Finish(numbered{9}); err != nil {
				t.Fatal(err)
			}
			want := []string{`{"N":0}`, `{"N":1}`, `{"N":2}`, `{"N":9}`}
			for _, w := range watchers {
				if got := linesOf(t, w); !slices.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			}
			_ = l.Publish(numbered{10}) // nothing follows the last one
			if got := linesOf(t, watching(t, t.Context(), c, l.url)); !slices.Equal(got, want[3:]) {
				t.Errorf("a late watcher: %q, want %q", got, want[3:])
			}
		})
	}
}

// A watcher that reads slowly misses messages, and delays nobody; it gets the last one.
func TestWatchSlow(t *testing.T) {
	t.Parallel()
	l := begin(t, nil)
	c := clients(t)["HTTP/1.1"]
	slow := watching(t, t.Context(), c, l.url)
	for range 200 {
		_ = l.Publish(strings.Repeat("x", 100_000))
	}
	finished := make(chan error, 1)
	go func() { finished <- l.Finish(numbered{9}) }()
	eventually(t, "the last message", func() bool { l.watch.mu.Lock(); defer l.watch.mu.Unlock(); return l.watch.last != nil })
	got := linesOf(t, slow)
	if n := len(got); n == 0 || n > 200 || got[n-1] != `{"N":9}` {
		t.Errorf("%d lines", n)
	}
	if err := <-finished; err != nil {
		t.Error(err)
	}
}

// The end waits for a watcher whose connection has broken, until it is back.
func TestWatchBroken(t *testing.T) {
	t.Parallel()
	for name, c := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := begin(t, nil)
			broken, cut := context.WithCancel(t.Context())
			defer cut()
			watching(t, broken, c, l.url)
			cut()
			state := func() (watchers int, missed bool) {
				l.watch.mu.Lock()
				defer l.watch.mu.Unlock()
				return len(l.watch.list), l.watch.missed
			}
			eventually(t, "the coordinator sees the end", func() bool { n, missed := state(); return n == 0 && missed })
			finished := make(chan error, 1)
			go func() { finished <- l.Finish(numbered{9}) }()
			eventually(t, "the last message", func() bool { l.watch.mu.Lock(); defer l.watch.mu.Unlock(); return l.watch.last != nil })
			select {
			case err := <-finished:
				t.Errorf("it has not waited: %v", err)
			default:
			}
			if got := linesOf(t, watching(t, t.Context(), c, l.url)); fmt.Sprint(got) != `[{"N":9}]` {
				t.Errorf("%q", got)
			}
			if err := <-finished; err != nil {
				t.Error(err)
			}
			if n, missed := state(); n > 0 || missed {
				t.Errorf("%d watchers, missed %t", n, missed)
			}
		})
	}
}

// A watcher can end the run.
func TestStop(t *testing.T) {
	t.Parallel()
	l := begin(t, nil)
	c := clients(t)["HTTP/1.1"]
	stop := func() {
		if status, text := request(t, c, http.MethodPost, l.url+"/v1/stop", nil, nil); status != http.StatusAccepted || text != "" {
			t.Errorf("%d %s", status, text)
		}
	}
	stop() // without an effect
	stopped := 0
	l.OnStop(func() { stopped++ })
	stop()
	if stopped != 1 {
		t.Errorf("stopped %d times", stopped)
	}
}

// Every request needs the token, except that of a probe.
func TestToken(t *testing.T) {
	t.Parallel()
	l := begin(t, nil)
	l.OnStop(func() { t.Error("stopped") })
	for _, token := range []string{"", "Bearer ", "Bearer " + testToken[1:], "Bearer " + testToken + "x", testToken, "Basic " + testToken} {
		for name, c := range clients(t) {
			headers := map[string]string{"Authorization": token}
			for _, path := range []string{"POST /v1/join", "POST /v1/result", "GET /v1/watch", "POST /v1/stop", "GET /"} {
				method, path, _ := strings.Cut(path, " ")
				if status, text := request(t, c, method, l.url+path, headers, nil); status != http.StatusUnauthorized || !strings.HasPrefix(text, "wrong token") {
					t.Errorf("%s, %q, %s: %d %s", name, token, path, status, text)
				}
			}
		}
	}
	if n := len(l.watch.list); n > 0 {
		t.Errorf("%d watchers", n)
	}
}

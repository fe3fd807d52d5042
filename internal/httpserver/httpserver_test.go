package httpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/httpheader"
)

// run serves h until stop is called, and returns where, and what Run returned.
func run(t *testing.T, h http.Handler, drain time.Duration) (url string, stop context.CancelFunc, result <-chan error) {
	t.Helper()
	return start(t, Config{Handler: h, DrainTimeout: drain})
}

// start is run with more settings.
func start(t *testing.T, c Config) (url string, stop context.CancelFunc, result <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	log := new(clitest.Output)
	done := make(chan error, 1)
	c.Name, c.Version, c.Addr = "test", "v1", "127.0.0.1:0"
	c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metric 1\n") })
	c.Logger = slog.New(slog.NewJSONHandler(log, nil))
	go func() { done <- Run(ctx, c) }()
	return "http://" + log.Listening(t, 1)[0], cancel, done
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.URL.Path) })

func TestProbes(t *testing.T) {
	t.Parallel()
	url, stop, result := run(t, echo, time.Minute)
	for _, tt := range []struct{ path, want string }{
		{"/healthz", `{"status":"ok"}` + "\n"},
		{"/readyz", `{"status":"ready"}` + "\n"},
		{"/metrics", "metric 1\n"},
		{"/albums", "HTTP/1.1 /albums"},
	} {
		if status, body := get(t, http.DefaultClient, url+tt.path); status != 200 || body != tt.want {
			t.Errorf("%s = %d %q, want 200 %q", tt.path, status, body, tt.want)
		}
	}
	_, body := get(t, http.DefaultClient, url+"/status")
	var st struct{ Service, Version, Status string }
	if err := json.Unmarshal([]byte(body), &st); err != nil || st.Service != "test" || st.Version != "v1" || st.Status != "ok" {
		t.Errorf("/status = %s, %v", body, err)
	}
	stop()
	if err := <-result; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func TestCleartextHTTP2(t *testing.T) {
	t.Parallel()
	url, _, _ := run(t, echo, time.Minute)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	if _, body := get(t, &http.Client{Transport: tr}, url+"/x"); body != "HTTP/2.0 /x" {
		t.Errorf("answer %q, want HTTP/2.0", body)
	}
}

// Open connections are closed at shutdown after one more request: the next request is
// served, and then both sides close it.
func TestLinger(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		url, stop, result := start(t, Config{Handler: echo, DrainTimeout: time.Minute, Linger: time.Minute})
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		defer tr.CloseIdleConnections()
		ask := func(path string) *http.Response {
			t.Helper()
			resp, err := (&http.Client{Transport: tr}).Get(url + path)
			if err != nil {
				t.Fatalf("HTTP/2 %v: %v", http2, err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return resp
		}
		if resp := ask("/x"); resp.Close || resp.Header.Get(httpheader.Draining) != "" {
			t.Errorf("HTTP/2 %v: closed %v, draining %q after one request", http2, resp.Close, resp.Header.Get(httpheader.Draining))
		}
		stop()
		resp := ask("/readyz")
		for ; resp.StatusCode == http.StatusOK; resp = ask("/readyz") { // it has not noticed yet
		}
		if resp.StatusCode != http.StatusServiceUnavailable || !http2 && !resp.Close || resp.Header.Get(httpheader.Draining) != "true" {
			t.Errorf("HTTP/2 %v: answered %s, to be closed: %v, draining %q, want 503, true and true", http2, resp.Status, resp.Close, resp.Header.Get(httpheader.Draining))
		}
		if err := <-result; err != nil {
			t.Errorf("HTTP/2 %v: Run() = %v", http2, err)
		}
	}
}

// During the delay, new connections are served as well: a load balancer may not have noticed yet.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	url, stop, result := start(t, Config{Handler: echo, DrainDelay: time.Hour, DrainTimeout: time.Millisecond})
	stop()
	ask := func() (int, http.Header) {
		t.Helper()
		tr := new(http.Transport)
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get(url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	status, _ := ask()
	for ; status == http.StatusOK; status, _ = ask() { // it has not noticed yet
	}
	time.Sleep(2 * quietTime) // after which a server without a delay has stopped
	if status, header := ask(); status != http.StatusServiceUnavailable || header.Get(httpheader.Draining) != "true" {
		t.Errorf("readiness %d, draining %q, want 503 and true", status, header.Get(httpheader.Draining))
	}
	select {
	case err := <-result:
		t.Errorf("Run() = %v before the end of the delay", err)
	default:
	}
}

// A request in flight at shutdown gets its response; new ones are not accepted.
func TestDrain(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	url, stop, result := run(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	}), time.Minute)
	answered := make(chan string)
	go func() {
		_, body := get(t, http.DefaultClient, url)
		answered <- body
	}()
	<-entered
	stop()
	host := strings.TrimPrefix(url, "http://")
	for { // until it does not listen any more
		c, err := net.Dial("tcp", host)
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-result:
		t.Fatalf("Run() = %v before the request was answered", err)
	default:
	}
	close(release)
	if body := <-answered; body != "done" {
		t.Errorf("answer %q, want done", body)
	}
	if err := <-result; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	url, stop, result := run(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done() // ends when the server closes the connection
	}), 10*time.Millisecond)
	go http.Get(url)
	<-entered
	stop()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "requests in flight after the drain timeout of 10ms") {
		t.Errorf("Run() = %v", err)
	}
}

// A server stops when there has been no connection for a while in which its process ran.
func TestQuietness(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	begun := time.Unix(1_000_000, 0)
	for name, tt := range map[string]struct {
		changed time.Duration // since the begin
		open    int64         // at 10 ms
		late    time.Duration // of the poll at 10 ms
		want    time.Duration
	}{
		"none for an hour":        {-time.Hour, 0, 0, minPolls * pollTime},
		"none for a moment":       {-50 * ms, 0, 0, quietTime - 50*ms},
		"one is open":             {-time.Hour, 1, 0, 10*ms + quietTime},
		"one was there":           {5 * ms, 0, 0, 5*ms + quietTime},
		"a poll is 49 ms late":    {-time.Hour, 0, 49 * ms, minPolls*pollTime + 49*ms},
		"a poll is 50 ms late":    {-time.Hour, 0, 50 * ms, 10*ms + 50*ms + quietTime},
		"the process did not run": {-time.Hour, 0, time.Second, 10*ms + time.Second + quietTime},
	} {
		q := quietness{last: begun}
		now, delay := time.Duration(0), time.Duration(0)
		for {
			open := int64(0)
			if now == 10*ms {
				open, delay = tt.open, tt.late
			}
			if q.enough(begun.Add(now+delay), open, begun.Add(tt.changed)) {
				break
			}
			now += pollTime
		}
		if now+delay != tt.want {
			t.Errorf("%s: it stops after %s, want %s", name, now+delay, tt.want)
		}
	}
}

// An idle server polls a few times before it stops: connections may be in the backlog.
func TestIdle(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		states []http.ConnState // an hour before, of one connection
		want   time.Duration
	}{
		"never a connection": {nil, minPolls * pollTime},
		"none for an hour":   {[]http.ConnState{http.StateNew, http.StateClosed}, minPolls * pollTime},
		"one is open":        {[]http.ConnState{http.StateNew}, lingerTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			var c connections
			for _, s := range tt.states {
				c.note(nil, s)
			}
			time.Sleep(time.Hour)
			begun := time.Now()
			if c.wait(lingerTime); time.Since(begun) != tt.want {
				t.Errorf("%s: it waits %s, want %s", name, time.Since(begun), tt.want)
			}
		})
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	err = Run(t.Context(), Config{Addr: addr, Handler: echo, Metrics: echo, Logger: slog.New(slog.DiscardHandler)})
	if want := "listen " + addr + ": bind: address already in use"; err == nil || err.Error() != want {
		t.Errorf("Run() = %v, want %s", err, want)
	}
}

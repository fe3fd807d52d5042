package albumhttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/telemetry/telemetrytest"
)

func signals(r *telemetrytest.Recorder) albumapi.Telemetry {
	return albumapi.Telemetry{TracerProvider: r.TracerProvider, MeterProvider: r.MeterProvider, Propagator: r.Propagator, Logger: r.Logger}
}

// cut responds with a Content-Length above the size of its body.
func cut(w http.ResponseWriter, _ *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":1")
	buf.Flush()
}

func answer(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func answerLater(status int, later, date, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", later)
		w.Header().Set("Date", date)
		answer(status, media, body)(w, r)
	}
}

// What something in front of the store says that it does not do now, or not at all, the
// proxy has the same, with Retry-After and a problem of its own.
func TestInFrontOfStore(t *testing.T) {
	t.Parallel()
	const date = "Wed, 21 Oct 2015 07:28:00 GMT"
	notReady := problem("store-not-ready", "album store is not ready", 503)
	limited := problem("rate-limited", "too many requests", 429)
	timeout := problem("store-timeout", "album store timed out", 504)
	for _, tt := range []struct {
		name  string
		store http.HandlerFunc
		code  int
		after string // Retry-After
		want  string
	}{
		{"503 page", answerLater(503, "7", date, "text/html", "<h1>secret</h1>"), 503, "7", notReady},
		{"503 page without a time", answer(503, "text/html", "<h1>secret</h1>"), 503, "1", notReady},
		{"503 text with a date", answerLater(503, "Wed, 21 Oct 2015 07:28:30 GMT", date, "text/plain", "secret"), 503, "30", notReady},
		{"503 with a date of old form", answerLater(503, "Wednesday, 21-Oct-15 07:29:00 GMT", date, "text/plain", "secret"), 503, "60", notReady},
		{"503 with a date that is past", answerLater(503, "Wed Oct 21 07:27:00 2015", date, "text/plain", "secret"), 503, "0", notReady},
		{"503 without a type", answerLater(503, "7", date, "", ""), 503, "7", notReady},
		{"503 of another API", answerLater(503, "7", date, "application/problem+json", `{"type":"about:blank","title":"secret"}`), 503, "7", notReady},
		{"429 page", answerLater(429, "7", date, "text/html", "<h1>secret</h1>"), 429, "7", limited},
		{"429 text without a time", answer(429, "text/plain", "secret"), 429, "1", limited},
		{"429 with a date", answerLater(429, "Wed, 21 Oct 2015 07:28:30 GMT", date, "application/json", `{"secret":1}`), 429, "30", limited},
		{"504 page", answer(504, "text/html", "<h1>secret</h1>"), 504, "", timeout},
		{"408 page", answer(408, "text/html", "<h1>secret</h1>"), 504, "", timeout},
		{"414 page", answer(414, "text/html", "<h1>secret</h1>"), 414, "", problem("target-too-long", "request target too long", 414)},
		{"431 page", answer(431, "text/html", "<h1>secret</h1>"), 431, "", problem("header-too-large", "request header fields too large", 431)},
		{"502 page", answerLater(502, "7", date, "text/html", "<h1>secret</h1>"), 502, "7", problem("store-unavailable", "album store unavailable", 502)},
		{"403 page", answer(403, "text/html", "<h1>secret</h1>"), 502, "", problem("store-unavailable", "album store unavailable", 502)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, serve(t, tt.store), albumapi.ClientOptions{})
			proxy := serve(t, albumhttp.Handler(client, albumhttp.HandlerOptions{Service: "proxy-service"}))
			resp, body := do(t, "GET", proxy+"/albums/1", "")
			if after := resp.Header.Get("Retry-After"); resp.StatusCode != tt.code || body != tt.want || after != tt.after {
				t.Errorf("answer = %d, Retry-After %q, %s, want %d, %q, %s", resp.StatusCode, after, body, tt.code, tt.after, tt.want)
			}
			_, err := client.Get(t.Context(), 1)
			if foreign := tt.code == 502; errors.Is(err, albumapi.ErrForeign) != foreign || !strings.Contains(err.Error(), ": responded ") {
				t.Errorf("error %v, of something foreign: %v", err, foreign)
			}
		})
	}
	client := newClient(t, serve(t, answer(413, "text/html", "<h1>secret</h1>")), albumapi.ClientOptions{})
	proxy := serve(t, albumhttp.Handler(client, albumhttp.HandlerOptions{Service: "proxy-service"}))
	resp, body := do(t, "POST", proxy+"/albums", `{"title":"ab","artist":"ab","price":1}`)
	if want := problem("body-too-large", "request body too large", 413); resp.StatusCode != 413 || body != want {
		t.Errorf("answer = %d %s, want 413 %s", resp.StatusCode, body, want)
	}
}

// The proxy's response to a failing store. The client learns that the store
// is the problem, and nothing of how.
func TestBrokenStore(t *testing.T) {
	t.Parallel()
	unavailable := problem("store-unavailable", "album store unavailable", 502)
	for _, tt := range []struct {
		name   string
		store  http.HandlerFunc // nil: nobody listens
		status int
		want   string
	}{
		{"down", nil, 502, unavailable},
		{"slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504,
			problem("store-timeout", "album store timed out", 504)},
		{"slow body", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 504, problem("store-timeout", "album store timed out", 504)},
		{"its own failure", answer(500, "application/problem+json", `{"type":"urn:soundcheck:problem:internal","status":500,"detail":"secret"}`), 502, unavailable},
		{"a page of another server", answer(404, "text/html", "<h1>secret</h1>"), 502, unavailable},
		{"a problem of another API", answer(404, "application/problem+json", `{"type":"about:blank","title":"secret"}`), 502, unavailable},
		{"no such route", answer(404, "application/problem+json", `{"type":"urn:soundcheck:problem:no-such-resource"}`), 404,
			problem("no-such-resource", "no such resource", 404)},
		{"cut off", cut, 502, unavailable},
		{"no JSON", answer(200, "application/json", "secret"), 502, unavailable},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/secret", http.StatusFound) }, 502, unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := "http://" + clitest.ClosedAddr(t)
			if tt.store != nil {
				store = serve(t, tt.store)
			}
			rec := telemetrytest.New(t)
			timeout := time.Hour
			if tt.status == 504 {
				timeout = 200 * time.Millisecond
			}
			client := newClient(t, store, albumapi.ClientOptions{Timeout: timeout})
			proxy := serve(t, albumhttp.Handler(client, albumhttp.HandlerOptions{Service: "proxy-service", Telemetry: albumapi.Telemetry{Logger: rec.Logger}}))
			resp, body := do(t, "GET", proxy+"/albums/1", "")
			if resp.StatusCode != tt.status || body != tt.want {
				t.Errorf("answer = %d %s, want %d %s", resp.StatusCode, body, tt.status, tt.want)
			}
			// The reason is where an operator finds it: one line in the log.
			if tt.status >= 500 && strings.Count(rec.Logs(), `"level":"ERROR"`) != 1 {
				t.Errorf("log:\n%s, want one error", rec.Logs())
			}
		})
	}
}

// waiting is a store whose Get lasts until its caller leaves.
type waiting struct {
	album.Service
	entered, left chan struct{}
}

func (w waiting) Get(ctx context.Context, _ int64) (album.Album, error) {
	close(w.entered)
	<-ctx.Done()
	close(w.left)
	return album.Album{}, ctx.Err()
}

// A client that leaves the proxy ends the work in the store too.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	w := waiting{entered: make(chan struct{}), left: make(chan struct{})}
	store := serve(t, albumhttp.Handler(w, albumhttp.HandlerOptions{Service: "album-store"}))
	rec := telemetrytest.New(t)
	proxy := albumhttp.Handler(newClient(t, store, albumapi.ClientOptions{}), albumhttp.HandlerOptions{Service: "proxy-service", Telemetry: signals(rec)})
	handled := make(chan struct{})
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxy.ServeHTTP(w, r); close(handled) }))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-w.entered; cancel() }()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/albums/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Fatal("the request was answered")
	}
	<-w.left
	<-handled
	if !strings.Contains(rec.Logs(), `"http.response.status_code":499`) || strings.Contains(rec.Logs(), "ERROR") {
		t.Errorf("log:\n%s, want a line with status 499 that is no error", rec.Logs())
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "localhost:9080", "ftp://host", "http://", "http://host?x=1", "http://host#x", "http://user@host", "http://host:port\x00", "http://a,http://b"} {
		if _, err := albumapi.NewClient(bad, albumapi.ClientOptions{}); err == nil {
			t.Errorf("NewClient(%q) = nil error", bad)
		}
	}
}

// A request that does not end is cut at the limit of the body, not kept in memory.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	url := serve(t, albumhttp.Handler(album.NewMemory(), albumhttp.HandlerOptions{Service: "album-store", MaxBody: 1 << 10}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /albums HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		for range 1000 { // the server closes the connection on the way
			if _, err := fmt.Fprintf(conn, "400\r\n%s\r\n", strings.Repeat("x", 0x400)); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", resp.StatusCode)
	}
}

package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// script is a server that sends a text for each connection's requests, and what it does then.
type script struct {
	text  string
	after func(c net.Conn) // nil: it reads the next request
}

// scripted starts a server of a script, and counts its connections.
func scripted(t *testing.T, s script) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if _, err := io.WriteString(c, s.text); err != nil {
						return
					}
					if s.after != nil {
						s.after(c)
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), &n
}

func always(int) bool { return true }
func never(int) bool  { return false }

// hang leaves a connection open, and sends no more.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func halfClose(c net.Conn) {
	_ = c.(*net.TCPConn).CloseWrite()
	hang(c)
}

// drip sends the rest of a response byte by byte, and closes the connection.
func drip(text string) func(net.Conn) {
	return func(c net.Conn) {
		for _, b := range []byte(text) {
			_, _ = c.Write([]byte{b})
			time.Sleep(time.Millisecond)
		}
	}
}

// closed closes a connection.
func closed(net.Conn) {}

// Whatever a server does, in a way that HTTP/1.1 allows or not, a request ends with its status or a class of
// error, and the connection is used again only if it can be.
func TestServers(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	big := "HTTP/1.1 200 OK\r\nX-Big: " + strings.Repeat("x", 20_000) + "\r\nContent-Length: 2\r\n\r\nok"
	for name, tt := range map[string]struct {
		script
		method string
		status int
		bytes  uint64
		err    string // category; "": none
		conns  int64  // of two requests
	}{
		"plain":                        {script{ok, nil}, "GET", 200, 2, "", 1},
		"lower case names":             {script{"HTTP/1.1 201 Created\r\ncontent-length:  3 \r\nX-Y:\r\n\r\nabc", nil}, "POST", 201, 3, "", 1},
		"no reason phrase":             {script{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", nil}, "GET", 200, 0, "", 1},
		"204":                          {script{"HTTP/1.1 204 No Content\r\n\r\n", nil}, "DELETE", 204, 0, "", 1},
		"304 with a length":            {script{"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", nil}, "GET", 304, 0, "", 1},
		"HEAD":                         {script{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", nil}, "HEAD", 200, 0, "", 1},
		"100 and 103 first":            {script{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, nil}, "POST", 200, 2, "", 1},
		"chunked":                      {script{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", nil}, "GET", 200, 5, "", 1},
		"chunked with trailers":        {script{"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", nil}, "GET", 200, 3, "", 1},
		"close-delimited":              {script{"HTTP/1.1 200 OK\r\n\r\nabcd", closed}, "GET", 200, 4, "", 2},
		"HTTP/1.0":                     {script{"HTTP/1.0 200 OK\r\n\r\nabcd", closed}, "GET", 200, 4, "", 2},
		"HTTP/1.0 with keep-alive":     {script{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", nil}, "GET", 200, 2, "", 1},
		"Connection: close":            {script{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", closed}, "GET", 200, 2, "", 2},
		"Connection: Keep-Alive":       {script{"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", nil}, "GET", 200, 2, "", 1},
		"Connection: a list":           {script{"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok", closed}, "GET", 200, 2, "", 2},
		"bare line feeds":              {script{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", nil}, "GET", 200, 2, "", 1},
		"folded field":                 {script{"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", nil}, "GET", 200, 2, "", 1},
		"large header":                 {script{big, nil}, "GET", 200, 2, "", 1},
		"header byte by byte":          {script{"", drip(ok)}, "GET", 200, 2, "", 2},
		"body byte by byte":            {script{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", drip("ok")}, "GET", 200, 2, "", 2},
		"surplus after the response":   {script{ok + ok, nil}, "GET", 200, 2, "", 2},
		"same length twice":            {script{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", nil}, "GET", 200, 2, "", 1},
		"two lengths":                  {script{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", hang}, "GET", 0, 0, "invalid response", 2},
		"negative length":              {script{"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", hang}, "GET", 0, 0, "invalid response", 2},
		"length with a sign":           {script{"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", hang}, "GET", 0, 0, "invalid response", 2},
		"field without a colon":        {script{"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nok", hang}, "GET", 0, 0, "invalid response", 2},
		"blank in a name":              {script{"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok", nil}, "GET", 200, 2, "", 1},
		"not HTTP":                     {script{"220 mail.example.com ESMTP\r\n", hang}, "GET", 0, 0, "invalid response", 2},
		"status that is none":          {script{"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok", hang}, "GET", 0, 0, "invalid response", 2},
		"unknown transfer coding":      {script{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", hang}, "GET", 0, 0, "invalid response", 2},
		"chunk with a wrong size":      {script{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n", hang}, "GET", 200, 0, "invalid response", 2},
		"closed before a response":     {script{"", closed}, "POST", 0, 0, "connection closed", 2},
		"closed in the header":         {script{"HTTP/1.1 200 OK\r\nContent-", closed}, "GET", 0, 0, "connection closed", 2},
		"closed in the body":           {script{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", closed}, "GET", 200, 2, "connection closed", 2},
		"half closed in the body":      {script{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", halfClose}, "GET", 200, 2, "connection closed", 2},
		"closed in a chunk":            {script{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", closed}, "GET", 200, 3, "connection closed", 2},
		"half closed, close-delimited": {script{"HTTP/1.1 200 OK\r\n\r\nabcd", halfClose}, "GET", 200, 4, "", 2},
		"silence":                      {script{"", hang}, "GET", 0, 0, "timeout", 2},
		"silence in the header":        {script{"HTTP/1.1 200 OK\r\n", hang}, "GET", 0, 0, "timeout", 2},
		"silence in the body":          {script{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", hang}, "GET", 200, 2, "timeout", 2},
		"silence in a chunk":           {script{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", hang}, "GET", 200, 3, "timeout", 2},
		"silence, close-delimited":     {script{"HTTP/1.1 200 OK\r\n\r\nabcd", hang}, "GET", 200, 4, "timeout", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, conns := scripted(t, tt.script)
			w := newWire(8, connect.Options{}.Dialer())
			defer w.close()
			wait := time.Minute
			if tt.err == "timeout" {
				wait = 50 * time.Millisecond
			}
			request := tt.method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
			for range 2 {
				var tm timing
				r := w.exchange(t.Context(), address, tt.method, []byte(request), isSafe(tt.method), time.Now().Add(wait), &tm, never)
				got := ""
				if r.err != nil {
					got = categoryOf(r.err).name
				}
				if r.status != tt.status || r.bytes != tt.bytes || got != tt.err || r.header != nil {
					t.Errorf("%d, %d bytes, %q of %v; want %d, %d bytes, %q", r.status, r.bytes, got, r.err, tt.status, tt.bytes, tt.err)
				}
				if (tm.firstByte > 0) != (tt.text != "" || tt.status > 0) || tm.connected <= 0 {
					t.Errorf("%+v", tm)
				}
			}
			if n := conns.Load(); n != tt.conns {
				t.Errorf("%d connections, want %d", n, tt.conns)
			}
		})
	}
}

// A deadline that a connection has from an earlier request does not end a later one.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	address, conns := scripted(t, script{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", func(c net.Conn) { <-release; _, _ = c.Write([]byte("k")); hang(c) }})
	quick, _ := scripted(t, script{"HTTP/1.1 204 No Content\r\n\r\n", nil})
	w := newWire(8, connect.Options{}.Dialer())
	defer w.close()
	var tm timing
	get := []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if r := w.exchange(t.Context(), quick, "GET", get, true, time.Now().Add(20*time.Millisecond), &tm, never); r.err != nil && !isTimeout(r.err) {
		t.Fatal(r.err)
	}
	// The connection of a request with little time left gets another one.
	c, err := w.get(t.Context(), address, time.Now().Add(10*time.Millisecond), true, false)
	if err != nil {
		t.Fatal(err)
	}
	first := c.timer
	w.keep(c)
	go func() {
		for time.Now().Before(first.Add(5 * time.Millisecond)) {
			time.Sleep(time.Millisecond)
		}
		close(release)
	}()
	if r := w.exchange(t.Context(), address, "GET", get, true, time.Now().Add(time.Minute), &tm, never); r.err != nil || r.bytes != 2 || conns.Load() != 1 {
		t.Errorf("%+v on %d connections", r, conns.Load())
	}
	if !c.timer.After(first) {
		t.Error("the deadline is the earlier request's")
	}
}

// Requests are those of net/http.
func TestEncode(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("http://127.0.0.1:9070/api%20v1")
	if err != nil {
		t.Fatal(err)
	}
	var all []*workload.Request
	for _, name := range workload.Names() {
		all = append(all, request(t, name))
	}
	targets, err := workload.ReadTargets("t", strings.NewReader(`GET http://me:secret@h:80?x=1
Accept: text/plain
Accept: */*

POST http://h/a%2Fb/ü?q=%C3%BC
host: other
user-agent: me
X-lower: 1

PUT http://h/`))
	if err != nil {
		t.Fatal(err)
	}
	source, err := workload.Workload{Targets: targets}.NewSource(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range targets {
		q, err := source.Request(uint64(i), pick(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, q)
	}
	for _, q := range all {
		at := q.At(base)
		b, err := begin(nil, q, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(end(field(b, "Traceparent", "a\r\nb"), q))))
		if err != nil {
			t.Fatalf("%s %s: %v", q.Method, q.Path, err)
		}
		u, err := q.URL(base)
		if err != nil {
			t.Fatal(err)
		}
		req := (&hop{q.Method, u, "", q.Header, q.Body}).request()
		req.Header.Set("Traceparent", "a\r\nb")
		var buffer bytes.Buffer
		if err := req.Write(&buffer); err != nil {
			t.Fatal(err)
		}
		want, err := http.ReadRequest(bufio.NewReader(&buffer))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*http.Request{got, want} {
			for _, values := range r.Header {
				slices.Sort(values)
			}
		}
		a, _ := io.ReadAll(got.Body)
		wanted, _ := io.ReadAll(want.Body)
		if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) || !bytes.Equal(a, wanted) || got.ContentLength != want.ContentLength {
			t.Errorf("%s %s %s %v %d %q\nwant %s %s %s %v %d %q", got.Method, got.RequestURI, got.Host, got.Header, got.ContentLength, a, want.Method, want.RequestURI, want.Host, want.Header, want.ContentLength, wanted)
		}
	}
}

// FuzzResponse compares responses with those of net/http.
func FuzzResponse(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLocation: /albums/7\r\n\r\nok", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \t\x01\r\n\r\nok", "HTTP/1.1 304 X\r\nContent-Length: 5\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			f.Add(method, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, method string, text []byte) {
		own := &conn{head: headLimit{r: bytes.NewReader(text), left: math.MaxInt}}
		own.r = bufio.NewReaderSize(&own.head, 8<<10)
		standard := &conn{head: headLimit{r: bytes.NewReader(text), left: math.MaxInt}}
		standard.r = bufio.NewReaderSize(&standard.head, 8<<10)
		got, keep := own.response(method, always)
		want, wantKeep := standard.standardResponse(method, always)
		if got.status != want.status || got.bytes != want.bytes || (got.err == nil) != (want.err == nil) || keep != wantKeep || fmt.Sprint(got.header) != fmt.Sprint(want.header) {
			t.Errorf("%q: %+v, %v\nwant %+v, %v", text, got, keep, want, wantKeep)
		}
		if keep && own.r.Buffered() != standard.r.Buffered() {
			t.Errorf("%q: %d bytes are left, want %d", text, own.r.Buffered(), standard.r.Buffered())
		}
	})
}

func pick(i int) schedule.Pick { return schedule.Pick{Number: uint64(i)} }

// answers responds to plain requests without allocations.
func answers(response string) func(net.Conn) {
	text := []byte(response)
	return func(c net.Conn) {
		for b := make([]byte, 8<<10); ; {
			if n, err := c.Read(b); err != nil || !bytes.HasSuffix(b[:n], []byte("\r\n\r\n")) {
				return
			}
			if _, err := c.Write(text); err != nil {
				return
			}
		}
	}
}

// maxAllocations is how many a request may have, with trace context and without exported telemetry.
const maxAllocations = 5

// This test is not parallel: other tests allocate memory.
func TestAllocations(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\nok"
	address, _ := scripted(t, script{ok, answers(ok)})
	targets, err := workload.ReadTargets("t", strings.NewReader("GET http://"+address+"/albums/1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]workload.Workload{"target": {Targets: targets}, "get": {Mix: workload.Mix{"get": 1}}} {
		c := testConfig("http://"+address, tracetest.NewSpanRecorder())
		c.TracerProvider, c.Workload, c.Workers = nil, w, 1
		c.Plan = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Hour}}}
		mallocs := func(requests uint64) uint64 {
			var before, after runtime.MemStats
			c.Plan.Max = requests
			runtime.ReadMemStats(&before)
			r := attackOnce(t, t.Context(), c)
			runtime.ReadMemStats(&after)
			if r.Classes[measure.Good] != int(requests) {
				t.Fatalf("%v, %v", r.Classes, r.Errors)
			}
			return after.Mallocs - before.Mallocs
		}
		first := mallocs(2000)
		each := (float64(mallocs(12_000)) - float64(first)) / 10_000
		t.Logf("%s: %.2f allocations a request", name, each)
		if each > maxAllocations {
			t.Errorf("%s: %.2f allocations a request, at most %d are wanted", name, each, maxAllocations)
		}
	}
}

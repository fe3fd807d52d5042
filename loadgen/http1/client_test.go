package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
)

func always(int) Needs { return Needs{Header: true} }
func never(int) Needs  { return Needs{} }

// A deadline that a connection has from an earlier request does not end a later one.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	address, conns := connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", After: func(c net.Conn) { <-release; _, _ = c.Write([]byte("k")); connecttest.Hang(c) }}.Start(t)
	quick, _ := connecttest.Script{Text: "HTTP/1.1 204 No Content\r\n\r\n"}.Start(t)
	w := New(connect.Options{}.Dialer(), 8)
	defer w.Close()
	var tm connect.Times
	get := []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if r := w.Exchange(t.Context(), quick, "GET", get, true, time.Now().Add(20*time.Millisecond), &tm, never); r.Err != nil && !connect.IsTimeout(r.Err) {
		t.Fatal(r.Err)
	}
	// The connection of a request with little time left gets another one.
	c, err := w.get(t.Context(), address, time.Now().Add(time.Minute), true, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.limit(time.Now().Add(10 * time.Millisecond)); err != nil {
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
	if r := w.Exchange(t.Context(), address, "GET", get, true, time.Now().Add(time.Minute), &tm, never); r.Err != nil || r.Bytes != 2 || conns.Load() != 1 {
		t.Errorf("%+v on %d connections", r, conns.Load())
	}
	if !c.timer.After(first) {
		t.Error("the deadline is the earlier request's")
	}
}

// A connection is used again after the deadline of an earlier request.
func TestIdleBeyondDeadline(t *testing.T) {
	t.Parallel()
	address, conns := connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}.Start(t)
	w := New(connect.Options{}.Dialer(), 8)
	defer w.Close()
	var tm connect.Times
	post := []byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	for range 2 {
		if r := w.Exchange(t.Context(), address, "POST", post, false, time.Now().Add(time.Minute), &tm, never); r.Err != nil || r.Bytes != 2 {
			t.Fatalf("%+v", r)
		}
		for _, c := range w.pool.Idle(address) { // as if the next request came after it
			c.timer = time.Now().Add(-time.Millisecond)
			if err := c.SetDeadline(c.timer); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
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
		if got.Status != want.Status || got.Bytes != want.Bytes || (got.Err == nil) != (want.Err == nil) || keep != wantKeep || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) {
			t.Errorf("%q: %+v, %v\nwant %+v, %v", text, got, keep, want, wantKeep)
		}
		if keep && own.r.Buffered() != standard.r.Buffered() {
			t.Errorf("%q: %d bytes are left, want %d", text, own.r.Buffered(), standard.r.Buffered())
		}
	})
}

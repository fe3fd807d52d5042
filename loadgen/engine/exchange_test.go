package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
	"soundcheck/loadgen/failure"
	"soundcheck/loadgen/http1"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/targets"
	"soundcheck/loadgen/workload"
)

// Whatever a server does, in a way that HTTP/1.1 allows or not, a request ends with its status or a class of
// error, and the connection is used again only if it can be.
func TestServers(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	big := "HTTP/1.1 200 OK\r\nX-Big: " + strings.Repeat("x", 20_000) + "\r\nContent-Length: 2\r\n\r\nok"
	for name, tt := range map[string]struct {
		connecttest.Script
		method string
		status int
		bytes  uint64
		err    string // category; "": none
		conns  int64  // of two requests
	}{
		"plain":                        {connecttest.Script{Text: ok}, "GET", 200, 2, "", 1},
		"lower case names":             {connecttest.Script{Text: "HTTP/1.1 201 Created\r\ncontent-length:  3 \r\nX-Y:\r\n\r\nabc"}, "POST", 201, 3, "", 1},
		"no reason phrase":             {connecttest.Script{Text: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"}, "GET", 200, 0, "", 1},
		"204":                          {connecttest.Script{Text: "HTTP/1.1 204 No Content\r\n\r\n"}, "DELETE", 204, 0, "", 1},
		"304 with a length":            {connecttest.Script{Text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"}, "GET", 304, 0, "", 1},
		"HEAD":                         {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"}, "HEAD", 200, 0, "", 1},
		"100 and 103 first":            {connecttest.Script{Text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok}, "POST", 200, 2, "", 1},
		"chunked":                      {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"}, "GET", 200, 5, "", 1},
		"chunked with trailers":        {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"}, "GET", 200, 3, "", 1},
		"close-delimited":              {connecttest.Script{Text: "HTTP/1.1 200 OK\r\n\r\nabcd", After: connecttest.Closed}, "GET", 200, 4, "", 2},
		"HTTP/1.0":                     {connecttest.Script{Text: "HTTP/1.0 200 OK\r\n\r\nabcd", After: connecttest.Closed}, "GET", 200, 4, "", 2},
		"HTTP/1.0 with keep-alive":     {connecttest.Script{Text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"}, "GET", 200, 2, "", 1},
		"Connection: close":            {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", After: connecttest.Closed}, "GET", 200, 2, "", 2},
		"Connection: Keep-Alive":       {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"}, "GET", 200, 2, "", 1},
		"Connection: a list":           {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok", After: connecttest.Closed}, "GET", 200, 2, "", 2},
		"bare line feeds":              {connecttest.Script{Text: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}, "GET", 200, 2, "", 1},
		"folded field":                 {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"}, "GET", 200, 2, "", 1},
		"large header":                 {connecttest.Script{Text: big}, "GET", 200, 2, "", 1},
		"header byte by byte":          {connecttest.Script{Text: "", After: connecttest.Drip(ok)}, "GET", 200, 2, "", 2},
		"body byte by byte":            {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", After: connecttest.Drip("ok")}, "GET", 200, 2, "", 2},
		"surplus after the response":   {connecttest.Script{Text: ok + ok}, "GET", 200, 2, "", 2},
		"same length twice":            {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"}, "GET", 200, 2, "", 1},
		"two lengths":                  {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"negative length":              {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"length with a sign":           {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"field without a colon":        {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nok", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"blank in a name":              {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok"}, "GET", 200, 2, "", 1},
		"not HTTP":                     {connecttest.Script{Text: "220 mail.example.com ESMTP\r\n", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"status that is none":          {connecttest.Script{Text: "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"unknown transfer coding":      {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", After: connecttest.Hang}, "GET", 0, 0, "invalid response", 2},
		"chunk with a wrong size":      {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n", After: connecttest.Hang}, "GET", 200, 0, "invalid response", 2},
		"closed before a response":     {connecttest.Script{Text: "", After: connecttest.Closed}, "POST", 0, 0, "connection closed", 2},
		"closed in the header":         {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-", After: connecttest.Closed}, "GET", 0, 0, "connection closed", 2},
		"closed in the body":           {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", After: connecttest.Closed}, "GET", 200, 2, "connection closed", 2},
		"half closed in the body":      {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", After: connecttest.HalfClose}, "GET", 200, 2, "connection closed", 2},
		"closed in a chunk":            {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", After: connecttest.Closed}, "GET", 200, 3, "connection closed", 2},
		"half closed, close-delimited": {connecttest.Script{Text: "HTTP/1.1 200 OK\r\n\r\nabcd", After: connecttest.HalfClose}, "GET", 200, 4, "", 2},
		"silence":                      {connecttest.Script{Text: "", After: connecttest.Hang}, "GET", 0, 0, "timeout", 2},
		"silence in the header":        {connecttest.Script{Text: "HTTP/1.1 200 OK\r\n", After: connecttest.Hang}, "GET", 0, 0, "timeout", 2},
		"silence in the body":          {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", After: connecttest.Hang}, "GET", 200, 2, "timeout", 2},
		"silence in a chunk":           {connecttest.Script{Text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", After: connecttest.Hang}, "GET", 200, 3, "timeout", 2},
		"silence, close-delimited":     {connecttest.Script{Text: "HTTP/1.1 200 OK\r\n\r\nabcd", After: connecttest.Hang}, "GET", 200, 4, "timeout", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, conns := tt.Start(t)
			wait, more := time.Minute, int64(0) // connections
			if tt.err == "timeout" {
				wait = 50 * time.Millisecond // more, if what the server sends comes later
			}
			request := tt.method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
			kept := []int{0, 1, 1 << 20} // bytes of the body
			w := make([]*http1.Client, len(kept))
			for i := range w {
				w[i] = http1.New(connect.Options{}.Dialer(), 8)
				defer w[i].Close()
			}
			for i := range 2 * len(kept) {
				most := kept[i/2]
				var tm connect.Times
				exchange := func() http1.Reply {
					tm = connect.Times{}
					return w[i/2].Exchange(t.Context(), address, tt.method, []byte(request), connect.Safe(tt.method), time.Now().Add(wait), &tm, func(int) http1.Needs { return http1.Needs{Body: most} })
				}
				r := exchange()
				for ; wait < time.Minute && (r.Bytes != tt.bytes || tm.Connected == 0 || tm.FirstByte == 0 && tt.Text != ""); r = exchange() {
					wait, more = 2*wait, more+1
				}
				got := ""
				if r.Err != nil {
					got = failure.Of(r.Err).Name
				}
				if r.Status != tt.status || r.Bytes != tt.bytes || got != tt.err || r.Header != nil {
					t.Errorf("%d, %d bytes, %q of %v; want %d, %d bytes, %q", r.Status, r.Bytes, got, r.Err, tt.status, tt.bytes, tt.err)
				}
				if len(r.Body) != min(most, int(tt.bytes)) || len(r.Body) > 1 && string(r.Body) != "ok" && !strings.HasPrefix("abcde", string(r.Body)) {
					t.Errorf("kept %q of %d bytes, at most %d", r.Body, tt.bytes, most)
				}
				if r.Status != 0 && (r.Proto == "HTTP/1.0") != strings.HasPrefix(name, "HTTP/1.0") {
					t.Errorf("the version is %q", r.Proto)
				}
				if (tm.FirstByte > 0) != (tt.Text != "" || tt.status > 0) || tm.Connected <= 0 {
					t.Errorf("%+v", tm)
				}
			}
			if n := conns.Load(); n < 3*tt.conns || n > 3*tt.conns+more {
				t.Errorf("%d connections, want %d", n, 3*tt.conns)
			}
		})
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
	targets, err := targets.Options{}.Read("t", strings.NewReader(`GET http://me:secret@h:80?x=1
Accept: text/plain
Accept: */*

POST http://h/a%2Fb/ü?q=%C3%BC
host: other
user-agent: me
X-lower: 1

PUT http://h/

GET http://me@h/`))
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
		b, err := begin(nil, q, at, nil)
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
	address, _ := connecttest.Script{Text: ok, After: answers(ok)}.Start(t)
	targets, err := targets.Options{}.Read("t", strings.NewReader("GET http://"+address+"/albums/1"))
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

package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/targets"
	"soundcheck/loadgen/workload"
)

// Any service can be the target: targets round robin, with their own headers and body, plus trace
// context.
func TestTargets(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got[r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Key")]++
		mu.Unlock()
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Soundcheck") || strings.HasPrefix(name, "X-Vegeta") {
				t.Errorf("the server got a header %s", name)
			}
		}
		if r.URL.Path == "/broken" {
			w.WriteHeader(404)
		}
	}))
	defer server.Close()
	list, err := targets.Read("t", strings.NewReader("GET "+server.URL+"/one\nX-Key: k\n\nPOST "+server.URL+"/two\n\nGET "+server.URL+"/broken\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig("", tracetest.NewSpanRecorder())
	c.Plan, c.Targets = steady(300, time.Second), list
	r := attackOnce(t, t.Context(), c)
	if r.Classes[measure.Good] != 200 || r.Classes[measure.Failed] != 100 || len(r.Scenarios) != 1 || r.Scenarios[0].Name != "target" {
		t.Errorf("%v, %+v, %v", r.Classes, r.Scenarios, r.Errors)
	}
	if got["GET /one k"] != 100 || got["POST /two "] != 100 || got["GET /broken "] != 100 {
		t.Errorf("the server got %v", got)
	}
}

// User and password of a target's URL are sent, but in no span, report or result.
func TestTargetsWithPassword(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "anna" || password != strings.TrimPrefix(r.URL.Path, "/") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, text := range []string{"GET http://anna:secret@" + host + "/secret", "GET http://anna@" + host + "/", "GET https://anna:secret@" + host + "/"} {
		for _, redirects := range []int{0, 1} {
			r, spans := targeted(t, connect.Options{Redirects: redirects, Version: connect.HTTP1}, 10, text)
			if good := r.Classes[measure.Good]; good != 10 && r.Errors["TLS: no TLS server"] != 10 {
				t.Errorf("%s: %v, %v", text, r.Classes, r.Errors)
			}
			if strings.Contains(r.FirstError, "anna") {
				t.Errorf("the report has %s", r.FirstError)
			}
			for _, s := range spans.Ended() {
				for _, a := range s.Attributes() {
					if strings.Contains(a.Value.String(), "anna") {
						t.Errorf("a span has %s", a.Value.String())
					}
				}
			}
		}
	}
}

// stub is a server that stores each request as received, without trace context.
type stub struct {
	net.Listener
	mu       sync.Mutex
	requests []string
}

func newStub(t *testing.T) *stub {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &stub{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *stub) serve(c net.Conn) {
	defer c.Close()
	r := textproto.NewReader(bufio.NewReader(c))
	for {
		var lines []string
		length := 0
		for {
			line, err := r.ReadLine()
			if err != nil {
				return
			}
			if line == "" {
				break
			}
			if n, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length, _ = strconv.Atoi(n)
			}
			if !strings.HasPrefix(line, "Traceparent: ") {
				lines = append(lines, line)
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(r.R, body); err != nil {
			return
		}
		slices.Sort(lines[1:])
		s.mu.Lock()
		s.requests = append(s.requests, strings.Join(append(lines, string(body)), "\n"))
		s.mu.Unlock()
		if _, err := io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
			return
		}
	}
}

// The server gets what the file has: each target once, each header once, nothing else.
func TestTargetsOnTheNetwork(t *testing.T) {
	t.Parallel()
	server := newStub(t)
	at := "http://" + server.Addr().String()
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"\ufeff\nGET " + at + "/a\n# c\nGET " + at + "/b?q=%20 HTTP/1.1\nhost: h\nUSER-AGENT: me\nx-key: 1\nx-key: 2\n# c\nPOST " + at + "/c\nuser-agent: me\ncontent-length: 4\nauthorization: z\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\n@" + body, []string{
			"GET /a HTTP/1.1\nHost: " + server.Addr().String() + "\nUser-Agent: Go-http-client/1.1\n",
			"GET /b?q=%20 HTTP/1.1\nHost: h\nUser-Agent: me\nx-key: 1\nx-key: 2\n",
			"POST /c HTTP/1.1\nAuthorization: z\nContent-Length: 4\nHost: " + server.Addr().String() + "\nUser-Agent: me\ntext",
		}},
		{`{"method":"PUT","url":"` + at + `/d","header":{"HOST":["h"],"content-Length":["1"],"user-agent":["me"]},"body":"eA=="}`, []string{
			"PUT /d HTTP/1.1\nContent-Length: 1\nHost: h\nUser-Agent: me\nx",
		}},
	} {
		list, err := targets.Read("t", strings.NewReader(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		c := testConfig("", tracetest.NewSpanRecorder())
		c.Targets = list
		c.Plan = steady(100, time.Duration(len(list))*10*time.Millisecond)
		server.requests = nil
		if r := attackOnce(t, t.Context(), c); r.Classes[measure.Good] != len(list) {
			t.Errorf("%v, %v", r.Classes, r.Errors)
		}
		slices.Sort(server.requests)
		if !slices.Equal(server.requests, tt.want) {
			t.Errorf("the server got %q, want %q", server.requests, tt.want)
		}
	}
}

// An expected response is not retried, whatever its status.
func TestExpectedIsNotRetried(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	list, err := targets.Read("t", strings.NewReader("GET "+server.URL+"/\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, retry := range []retry.Policy{retry.Honour, retry.Naive} {
		requests.Store(0)
		c := testConfig("", tracetest.NewSpanRecorder())
		c.Plan, c.Targets, c.Retry, c.Expect = steady(100, 100*time.Millisecond), list, retry, workload.Expectations{}
		if err := c.Expect.Add("503"); err != nil {
			t.Fatal(err)
		}
		if r := attackOnce(t, t.Context(), c); r.Classes[measure.Good] != 10 || r.Retries.Attempts != 0 || requests.Load() != 10 {
			t.Errorf("%s: %v, %+v, %d requests, want 10", retry, r.Classes, r.Retries, requests.Load())
		}
	}
}

// A propagator replaces the headers that it sets, and leaves all others of a target as they are.
func TestTargetsOfOtherPropagators(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, name := range []string{"none", "b3"} {
		p, err := autoprop.TextMapPropagator(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, redirects := range []int{0, 1} {
			var mu sync.Mutex
			var got http.Header
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				got = r.Header
			}))
			defer server.Close()
			list, err := targets.Read("t", strings.NewReader("GET "+server.URL+"/\ntraceparent: "+parent+"\ntracestate: a=b\nB3: 0\n"))
			if err != nil {
				t.Fatal(err)
			}
			c := testConfig("", tracetest.NewSpanRecorder())
			c.Plan, c.Targets, c.Propagator, c.Connect.Redirects = steady(10, 100*time.Millisecond), list, p, redirects
			attackOnce(t, t.Context(), c)
			if got.Get("traceparent") != parent || got.Get("tracestate") != "a=b" || len(got["B3"]) != 1 || (got.Get("B3") == "0") != (name == "none") {
				t.Errorf("%s: the server got %v", name, got)
			}
		}
	}
}

// The client span of a request that brings a trace context is a child of that, sampled as it says.
func TestTargetsWithTraceContext(t *testing.T) {
	t.Parallel()
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, retry := range []retry.Policy{retry.None, retry.Naive} {
		for _, flags := range []string{"00", "01"} {
			for _, spans := range []*tracetest.SpanRecorder{nil, tracetest.NewSpanRecorder()} {
				var mu sync.Mutex
				var got, states []string
				server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					got, states = append(got, r.Header.Get("traceparent")), append(states, r.Header.Get("tracestate"))
				}))
				defer server.Close()
				list, err := targets.Read("t", strings.NewReader("GET "+server.URL+"/\ntraceparent: 00-"+id+"-"+parent+"-"+flags+"\ntracestate: a=b\n"))
				if err != nil {
					t.Fatal(err)
				}
				c := testConfig("", tracetest.NewSpanRecorder())
				if spans == nil {
					c.TracerProvider, c.TraceSample = nil, 0.5
				} else {
					c = testConfig("", spans)
				}
				c.Plan, c.Targets, c.Retry = steady(100, 100*time.Millisecond), list, retry
				r := attackOnce(t, t.Context(), c)
				sent := map[string]bool{}
				for i, p := range got {
					sent[p] = true
					if !strings.HasPrefix(p, "00-"+id+"-") || !strings.HasSuffix(p, "-"+flags) || strings.Contains(p, parent) || states[i] != "a=b" {
						t.Errorf("the server got %s, %s", p, states[i])
					}
				}
				if len(sent) != 10 || r.Classes[measure.Good] != 10 {
					t.Errorf("%d trace contexts, %v", len(sent), r.Classes)
				}
				traced := ""
				if flags == "01" {
					traced = id
				}
				if r.Slowest[0].TraceID != traced || len(r.Groups) > 0 && len(r.Groups[0].Slow) > 0 {
					t.Errorf("the report has %s, and %v", r.Slowest[0].TraceID, r.Groups)
				}
				if spans == nil {
					continue
				}
				top := 0
				for _, s := range spans.Ended() {
					if s.Parent().SpanID().String() == parent && s.Parent().IsRemote() {
						top++
					}
				}
				if want := map[string]int{"00": 0, "01": 10}[flags]; top != want {
					t.Errorf("%d spans are children of the parent, want %d", top, want)
				}
			}
		}
	}
}

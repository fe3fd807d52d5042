package attack

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
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestReadTargets(t *testing.T) {
	t.Parallel()
	body := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(body, []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1<<17)
	get := func(url string) vegeta.Target {
		return vegeta.Target{Method: "GET", URL: url, Header: http.Header{}}
	}
	for _, tt := range []struct {
		name, in string
		want     []vegeta.Target
	}{
		{"one", "GET http://a/x\n", []vegeta.Target{get("http://a/x")}},
		{"no end of line", "GET http://a/x", []vegeta.Target{get("http://a/x")}},
		{"headers and a blank line", "GET http://a/x\nX-Key: y\n\nPUT https://b/z\n", []vegeta.Target{
			{Method: "GET", URL: "http://a/x", Header: http.Header{"X-Key": {"y"}}}, {Method: "PUT", URL: "https://b/z", Header: http.Header{}}}},
		{"a comment above the next request", "GET http://a/x\n# c\nGET http://a/y\n", []vegeta.Target{get("http://a/x"), get("http://a/y")}},
		{"a header above the next request", "GET http://a/x\nX: 1\nGET http://a/y\n", []vegeta.Target{
			{Method: "GET", URL: "http://a/x", Header: http.Header{"X": {"1"}}}, get("http://a/y")}},
		{"a comment among headers", "GET http://a/x\nX: 1\n# c\nX: 2\n", []vegeta.Target{{Method: "GET", URL: "http://a/x", Header: http.Header{"X": {"1", "2"}}}}},
		{"a body above the next request", "POST http://a/x\n@" + body + "\nGET http://a/y\n", []vegeta.Target{
			{Method: "POST", URL: "http://a/x", Header: http.Header{}, Body: []byte(`{"a":1}`)}, get("http://a/y")}},
		{"byte order mark, blank lines, Windows", "\ufeff\r\n\r\nGET http://a/x\r\nX: 1\r\n", []vegeta.Target{{Method: "GET", URL: "http://a/x", Header: http.Header{"X": {"1"}}}}},
		{"with its version", "GET http://a/x HTTP/1.1\n", []vegeta.Target{get("http://a/x")}},
		{"names in lower case", "POST http://a/x\nhost: b\nuser-agent: me\ncontent-length: 7\nauthorization: c\nx-key: d\n@" + body, []vegeta.Target{
			{Method: "POST", URL: "http://a/x", Header: http.Header{"Host": {"b"}, "User-Agent": {"me"}, "Authorization": {"c"}, "x-key": {"d"}}, Body: []byte(`{"a":1}`)}}},
		{"a long line", "GET http://a/x\nX: " + long + "\n\nGET http://a/y\n", []vegeta.Target{
			{Method: "GET", URL: "http://a/x", Header: http.Header{"X": {long}}}, get("http://a/y")}},
		{"JSON", "\ufeff\n" + `{"method":"GET","url":"http://a/x"}` + "\n\n" + `{"method":"POST","url":"http://a/y","header":{"host":["b"],"x":["1","2"]},"body":"eA=="}`, []vegeta.Target{
			get("http://a/x"), {Method: "POST", URL: "http://a/y", Header: http.Header{"Host": {"b"}, "x": {"1", "2"}}, Body: []byte("x")}}},
	} {
		if got, err := ReadTargets("t", strings.NewReader(tt.in)); err != nil || !slices.EqualFunc(got, tt.want, func(a, b vegeta.Target) bool { return a.Equal(&b) }) {
			t.Errorf("%s: %.300v, %v, want %.300v", tt.name, got, err, tt.want)
		}
	}
	for in, want := range map[string]string{
		"":                                  "t: there is no target",
		"\n\n# nothing\n":                   "t: there is no target",
		"GET /x\n":                          `t:1: "/x" is not an http:// or https:// URL with a host`,
		"GET ftp://a/x\n":                   `t:1: "ftp://a/x" is not an http:// or https:// URL with a host`,
		"GET http://a\n\nx":                 `t:3: "x" is not a request, as in GET http://host/path`,
		"get http://a\n":                    `t:1: "get http://a" is not a request, as in GET http://host/path`,
		"GET http://a/x?q=a b\n":            `t:1: "GET http://a/x?q=a b" has blanks in its URL: write %20`,
		"GET http://a/x # c\n":              `t:1: "GET http://a/x # c" has blanks in its URL: write %20`,
		"GET http://a/x?q=\u00fc\n":         `t:1: "http://a/x?q=ü" has a character in its query that has to be percent-encoded`,
		"GET http://a/x HTTP/2\n":           "t:1: HTTP/2 is not supported: requests are sent as HTTP/1.1",
		"POST http://a\n" + `{"a":1}`:       `t:2: "{\"a\":1}" is not a header. Put a body into a file and name it, as in @body.json`,
		"GET http://a\nX\n":                 `t:2: "X" is not a header, as in Accept: text/plain`,
		"GET http://a\nX:\n":                `t:2: "X:" is not a header, as in Accept: text/plain`,
		"GET http://a\nA b: c\n":            `t:2: "A b: c" has blanks in its URL: write %20`,
		"GET http://a\na b: c\n":            `t:2: "a b" is not a header's name`,
		"GET http://a\nA: \x01\n":           "t:2: header A has a control character in its value",
		"GET http://a\n@/none\n":            "t:2: the body: open /none: no such file or directory",
		"GET http://a\n@" + body + "\nA: b": `t:3: "A: b" stands after the body`,
		"GET http://a\nHost: b\nhost: c":    "t:1: header Host appears 2 times",
		"\nGET http://a\nContent-length: 3": "t:2: header Content-Length is 3, and the body has 0 bytes: leave it out",
		"GET http://a\nTRAILER: x":          "t:1: header Trailer cannot be set: the body is sent with its length",
		`[{"method":"GET"}]`:                `t:1: "[{\"method\":\"GET\"}]" is not a request. Of a JSON array make a line for each target, as with jq -c '.[]'`,
		`{"url":"http://a"}`:                `t:1: field "method" is missing`,
		`{"method":"GET"}`:                  `t:1: field "url" is missing`,
		`{"method":"GET","url":1}`:          `t:1: field "url" is not a string`,
		`{"method":"G T","url":"http://a"}`: `t:1: "G T" is not a method`,
		`{"method":"GET","url":"http://a","headers":{"A":["b"]}}`:                `t:1: unknown field "headers": there are method, url, header and body`,
		`{"method":"GET","url":"http://a","Header":{"A":["b"]}}`:                 `t:1: unknown field "Header": there are method, url, header and body`,
		`{"method":"GET","url":"http://a","header":{"A":"b"}}`:                   `t:1: field "header" is not lists of strings by name, as in {"Accept": ["text/plain"]}`,
		`{"method":"GET","url":"http://a","header":{"A b":["c"]}}`:               `t:1: "A b" is not a header's name`,
		`{"method":"GET","url":"http://a","header":{"A":["b\nc"]}}`:              "t:1: header A has a control character in its value",
		`{"method":"GET","url":"http://a","header":{"Host":["b"],"host":["c"]}}`: "t:1: header Host appears 2 times",
		`{"method":"GET","url":"http://a","body":{"a":1}}`:                       `t:1: field "body" is not a string in base64`,
		`{"method":"GET","url":"http://a","body":"?"}`:                           `t:1: field "body" is not a string in base64`,
		`{"method":"GET","method":"PUT","url":"http://a"}`:                       `t:1: field "method" appears twice`,
		`{"method":"GET","url":"http://a"} x`:                                    `t:1: "x" stands after the object: each target is one, in a line of its own`,
		`{"method":"GET","url":"http://a"}` + "\n\nGET http://a":                 `t:3: "GET http://a" is not a JSON object: each target is one, in a line of its own`,
		"{\n" + `"method":"GET","url":"http://a"}`:                               `t:1: "{" is not a whole JSON object: each target is one, in a line of its own`,
		`{"method":"GET",}`: `t:1: "{\"method\":\"GET\",}" is not JSON: `,
	} {
		if got, err := ReadTargets("t", strings.NewReader(in)); err == nil || err.Error() != want && !(strings.HasSuffix(want, ": ") && strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
	}
	if _, err := ReadTargets("t", strings.NewReader("GET http://a\nX: "+strings.Repeat("x", maxTargetLine))); err == nil || err.Error() != "t:2: the line is longer than 16 MiB" {
		t.Errorf("a line without an end: %v", err)
	}
}

func FuzzReadTargets(f *testing.F) {
	for _, s := range []string{"GET http://a/x\nX-Key: y\n\nPUT https://b/z\n", `{"method":"GET","url":"http://a/x","header":{"A":["b"]}}`} {
		f.Add(s)
	}
	f.Add("GET http://a/x HTTP/1.1\nhost: b\n# c\nPOST http://a/y?z\n")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "@") {
			return // a file's name
		}
		list, err := ReadTargets("t", strings.NewReader(s))
		if err == nil && len(list) == 0 {
			t.Errorf("%q: neither targets nor an error", s)
		}
		for _, target := range list { // what is read can be sent
			req, err := target.Request()
			if err == nil {
				err = req.Write(io.Discard)
			}
			if err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
	})
}

// Any service can be attacked: each target in turn, with its own headers and body and
// nothing of ours but the trace context.
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
	list, err := ReadTargets("t", strings.NewReader("GET "+server.URL+"/one\nX-Key: k\n\nPOST "+server.URL+"/two\n\nGET "+server.URL+"/broken\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig("", tracetest.NewSpanRecorder())
	c.Plan, c.Targets = steady(300, time.Second), list
	r := attackOnce(t, t.Context(), c)
	if r.Classes[Good] != 200 || r.Classes[Failed] != 100 || len(r.Scenarios) != 1 || r.Scenarios[0].Name != "target" {
		t.Errorf("%v, %+v, %v", r.Classes, r.Scenarios, r.Errors)
	}
	if got["GET /one k"] != 100 || got["POST /two "] != 100 || got["GET /broken "] != 100 {
		t.Errorf("the server got %v", got)
	}
}

// A user and password in a target's URL are sent, and told to nobody.
func TestTargetsWithPassword(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	list, err := ReadTargets("t", strings.NewReader("GET http://me:secret@"+strings.TrimPrefix(server.URL, "http://")+"/"))
	if err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	c := testConfig("", spans)
	c.Plan, c.Targets = steady(100, 100*time.Millisecond), list
	if r := attackOnce(t, t.Context(), c); r.Classes[Good] != 10 {
		t.Errorf("%v, %v", r.Classes, r.Errors)
	}
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if strings.Contains(a.Value.Emit(), "secret") {
				t.Errorf("a span tells %s", a.Value.Emit())
			}
		}
	}
}

// stub is a server that notes each request as it comes over the network, but for the trace
// context.
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

// What a file says is what a server gets: each target once, each header once, nothing else.
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
		{"\ufeff\nGET " + at + "/a\n# c\nGET " + at + "/b?q=%20 HTTP/1.1\nhost: h\nUSER-AGENT: me\nx-key: 1\nx-key: 2\n# c\nPOST " + at + "/c\nuser-agent: me\ncontent-length: 4\nauthorization: z\ntraceparent: mine\n@" + body, []string{
			"GET /a HTTP/1.1\nHost: " + server.Addr().String() + "\nUser-Agent: Go-http-client/1.1\n",
			"GET /b?q=%20 HTTP/1.1\nHost: h\nUser-Agent: me\nx-key: 1\nx-key: 2\n",
			"POST /c HTTP/1.1\nAuthorization: z\nContent-Length: 4\nHost: " + server.Addr().String() + "\nUser-Agent: me\ntext",
		}},
		{`{"method":"PUT","url":"` + at + `/d","header":{"HOST":["h"],"content-Length":["1"],"user-agent":["me"]},"body":"eA=="}`, []string{
			"PUT /d HTTP/1.1\nContent-Length: 1\nHost: h\nUser-Agent: me\nx",
		}},
	} {
		list, err := ReadTargets("t", strings.NewReader(tt.in))
		if err != nil {
			t.Fatal(err)
		}
		c := testConfig("", tracetest.NewSpanRecorder())
		c.Targets = list
		c.Plan = steady(100, time.Duration(len(list))*10*time.Millisecond)
		server.requests = nil
		if r := attackOnce(t, t.Context(), c); r.Classes[Good] != len(list) {
			t.Errorf("%v, %v", r.Classes, r.Errors)
		}
		slices.Sort(server.requests)
		if !slices.Equal(server.requests, tt.want) {
			t.Errorf("the server got %q, want %q", server.requests, tt.want)
		}
	}
}

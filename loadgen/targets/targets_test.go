package targets

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"
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
		if got, err := Read("t", strings.NewReader(tt.in)); err != nil || !slices.EqualFunc(got, tt.want, func(a, b vegeta.Target) bool { return a.Equal(&b) }) {
			t.Errorf("%s: %.300v, %v, want %.300v", tt.name, got, err, tt.want)
		}
	}
	for in, want := range map[string]string{
		"":                                  "t: no targets",
		"\n\n# nothing\n":                   "t: no targets",
		"GET /x\n":                          `t:1: "/x" is not an http:// or https:// URL with a host`,
		"GET ftp://a/x\n":                   `t:1: "ftp://a/x" is not an http:// or https:// URL with a host`,
		"GET http://a\n\nx":                 `t:3: "x" is not a request, as in GET http://host/path`,
		"get http://a\n":                    `t:1: "get http://a" is not a request, as in GET http://host/path`,
		"GET http://a/x?q=a b\n":            `t:1: "GET http://a/x?q=a b" has blanks in its URL: use %20`,
		"GET http://a/x # c\n":              `t:1: "GET http://a/x # c" has blanks in its URL: use %20`,
		"GET http://a/x?q=\u00fc\n":         `t:1: "http://a/x?q=ü" has a character in its query that must be percent-encoded`,
		"GET http://a/x HTTP/2\n":           "t:1: HTTP/2 is not supported: requests are sent as HTTP/1.1",
		"POST http://a\n" + `{"a":1}`:       `t:2: "{\"a\":1}" is not a header. Put the body into a file, as in @body.json`,
		"GET http://a\nX\n":                 `t:2: "X" is not a header, as in Accept: text/plain`,
		"GET http://a\nX:\n":                `t:2: "X:" is not a header, as in Accept: text/plain`,
		"GET http://a\nA b: c\n":            `t:2: "A b: c" has blanks in its URL: use %20`,
		"GET http://a\na b: c\n":            `t:2: "a b" is not a header name`,
		"GET http://a\nA: \x01\n":           "t:2: header A has a control character in its value",
		"GET http://a\n@/none\n":            "t:2: the body: open /none: no such file or directory",
		"GET http://a\n@" + body + "\nA: b": `t:3: "A: b" follows the body`,
		"GET http://a\nHost: b\nhost: c":    "t:1: header Host appears 2 times",
		"\nGET http://a\nContent-length: 3": "t:2: header Content-Length is 3, the body has 0 bytes: remove the header",
		"GET http://a\nTRAILER: x":          "t:1: header Trailer is not supported: bodies are sent with Content-Length",
		`[{"method":"GET"}]`:                `t:1: "[{\"method\":\"GET\"}]" is not a request. Convert a JSON array to one target a line: jq -c '.[]'`,
		`{"url":"http://a"}`:                `t:1: field "method" is missing`,
		`{"method":"GET"}`:                  `t:1: field "url" is missing`,
		`{"method":"GET","url":1}`:          `t:1: field "url" is not a string`,
		`{"method":"G T","url":"http://a"}`: `t:1: "G T" is not a method`,
		`{"method":"GET","url":"http://a","headers":{"A":["b"]}}`:                `t:1: unknown field "headers": fields are method, url, header, body`,
		`{"method":"GET","url":"http://a","Header":{"A":["b"]}}`:                 `t:1: unknown field "Header": fields are method, url, header, body`,
		`{"method":"GET","url":"http://a","header":{"A":"b"}}`:                   `t:1: field "header" is not lists of strings by name, as in {"Accept": ["text/plain"]}`,
		`{"method":"GET","url":"http://a","header":{"A b":["c"]}}`:               `t:1: "A b" is not a header name`,
		`{"method":"GET","url":"http://a","header":{"A":["b\nc"]}}`:              "t:1: header A has a control character in its value",
		`{"method":"GET","url":"http://a","header":{"Host":["b"],"host":["c"]}}`: "t:1: header Host appears 2 times",
		`{"method":"GET","url":"http://a","body":{"a":1}}`:                       `t:1: field "body" is not a string in base64`,
		`{"method":"GET","url":"http://a","body":"?"}`:                           `t:1: field "body" is not a string in base64`,
		`{"method":"GET","method":"PUT","url":"http://a"}`:                       `t:1: field "method" appears twice`,
		`{"method":"GET","url":"http://a"} x`:                                    `t:1: "x" follows the object: use one object a line`,
		`{"method":"GET","url":"http://a"}` + "\n\nGET http://a":                 `t:3: "GET http://a" is not a JSON object: use one object a line`,
		"{\n" + `"method":"GET","url":"http://a"}`:                               `t:1: "{" is an incomplete JSON object: use one object a line`,
		`{"method":"GET",}`: `t:1: "{\"method\":\"GET\",}" is not JSON: `,
	} {
		if got, err := Read("t", strings.NewReader(in)); err == nil || err.Error() != want && !(strings.HasSuffix(want, ": ") && strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
	}
	if _, err := Read("t", strings.NewReader("GET http://a\nX: "+strings.Repeat("x", maxTargetLine))); err == nil || err.Error() != "t:2: the line is longer than 16 MiB" {
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
		list, err := Read("t", strings.NewReader(s))
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

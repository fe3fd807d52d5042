package targets

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	h, err := ParseHeaders([]string{"accept:text/plain", "X: 1", "x-A:  b:c ", "X: 2", "host: h", "USER-AGENT: u"})
	want := http.Header{"accept": {"text/plain"}, "X": {"1", "2"}, "x-A": {"b:c"}, "Host": {"h"}, "User-Agent": {"u"}}
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("%v, %v, want %v", h, err, want)
	}
	for in, want := range map[string]string{
		"Authorization Bearer secret": "header 1 has no colon, as in 'Accept: text/plain'",
		"Bad Name: secret":            "header 1: the part before its colon is not a header name",
		": secret":                    "header 1: the part before its colon is not a header name",
		"X: ":                         "header X has no value",
		"X: sec\x00ret":               "header X has a control character in its value",
		"content-length: 3":           "header Content-Length follows from the body: remove it",
		"transfer-encoding: chunked":  "header Transfer-Encoding is not supported: bodies are sent with Content-Length",
		"tracestate: a=b":             "header tracestate has no meaning without traceparent",
	} {
		if _, err := ParseHeaders([]string{in}); err == nil || err.Error() != want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	h := http.Header{"x-key": {"1"}, "Y": {"2"}}
	got := Override(h, http.Header{"X-Key": {"3", "4"}, "Z": {"5"}})
	if want := (http.Header{"X-Key": {"3", "4"}, "Y": {"2"}, "Z": {"5"}}); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(h, http.Header{"x-key": {"1"}, "Y": {"2"}}) {
		t.Errorf("%v, want %v; it was %v", got, want, h)
	}
}

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	h := http.Header{"Accept": {"a"}, "Authorization": {"b"}, "Cookie": {"c"}, "x-api-key": {"d"}, "X-Auth-Token": {"e"}, "Idempotency-Key": {"f"}}
	got, names := WithoutSecrets(h)
	slices.Sort(names)
	if len(got) != 2 || got["Accept"] == nil || got["Idempotency-Key"] == nil || !slices.Equal(names, []string{"Authorization", "Cookie", "X-Auth-Token", "x-api-key"}) || len(h) != 6 {
		t.Errorf("%v without %v, of %v", got, names, h)
	}
}

// A trace context is valid (W3C), and the request continues it.
func TestParent(t *testing.T) {
	t.Parallel()
	const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
	p := Parent(http.Header{"Traceparent": {"00-" + ids + "-01"}, "Tracestate": {"a=b"}})
	if p == nil || p.TraceID().String()+"-"+p.SpanID().String() != ids || !p.IsSampled() || p.TraceState().String() != "a=b" {
		t.Errorf("%+v", p)
	}
	if Parent(http.Header{"X": {"y"}}) != nil {
		t.Error("a parent without traceparent")
	}
	for _, bad := range []string{"", "x", "00-" + ids, "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-" + ids + "-01"} {
		if _, err := NormalizeHeader(http.Header{"traceparent": {bad}}, 0); err == nil || !strings.Contains(err.Error(), "is not a trace context") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What is accepted can be sent, and arrives as it is.
func FuzzParseHeaders(f *testing.F) {
	f.Add("Accept: text/plain", "x-a:b:c")
	f.Add("host: a", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, a, b string) {
		h, err := ParseHeaders([]string{a, b})
		if err != nil {
			return
		}
		req := httptest.NewRequest("GET", "http://a/", nil)
		req.Header = h
		var w bytes.Buffer
		if err := req.Write(&w); err != nil {
			t.Fatalf("%q, %q: %v", a, b, err)
		}
		got, err := http.ReadRequest(bufio.NewReader(&w))
		if err != nil {
			t.Fatalf("%q, %q: %v", a, b, err)
		}
		for name, values := range h {
			if name != "Host" && !slices.Contains(got.Header.Values(name), values[0]) {
				t.Errorf("%s: %q arrives as %q", name, values, got.Header)
			}
		}
	})
}

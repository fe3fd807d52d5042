package jaegerapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const body = `{"data":[{"traceID":"a1","spans":[
	{"traceID":"a1","spanID":"1","operationName":"GET /albums","startTime":1000,"duration":500,"processID":"p1","references":[{"refType":"FOLLOWS_FROM","traceID":"a1","spanID":"2"}],
	 "tags":[{"key":"http.response.status_code","value":503},{"key":"error","value":true}],"logs":[{"fields":[{"key":"event","value":"exception"}]}]},
	{"traceID":"a1","spanID":"2","operationName":"SELECT albums","startTime":1100,"duration":100,"processID":"p2",
	 "references":[{"refType":"CHILD_OF","traceID":"00a1","spanID":"1"}],"tags":[{"key":"db.system.name","value":"sqlite"},{"key":"db.response.returned_rows","value":12345678}]}],
	"processes":{"p1":{"serviceName":"proxy-service"},"p2":{"serviceName":"album-store","tags":[{"key":"service.namespace","value":"soundcheck"}]}}}]}`

func jaeger(t *testing.T) Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.RequestURI {
		case "/base/api/services":
			fmt.Fprint(w, `{"data":["album-store","proxy-service"]}`)
		case "/base/api/traces?limit=1&service=proxy-service", "/base/api/traces/a1":
			fmt.Fprint(w, body)
		case "/base/api/traces/none":
			fmt.Fprint(w, `{"data":[]}`)
		case "/base/api/traces/page":
			fmt.Fprint(w, "<h1>hello</h1>")
		case "/base/api/traces/refused":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"errors":[{"code":400,"msg":"malformed trace id"}]}`)
		default:
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "no Jaeger here\n")
		}
	}))
	t.Cleanup(srv.Close)
	return Client{srv.URL + "/base", srv.Client()}
}

func TestClient(t *testing.T) {
	t.Parallel()
	c := jaeger(t)
	if got, err := c.Services(t.Context()); err != nil || strings.Join(got, " ") != "album-store proxy-service" {
		t.Errorf("Services() = %q, %v", got, err)
	}
	list, err := c.Search(t.Context(), url.Values{"service": {"proxy-service"}, "limit": {"1"}})
	if err != nil || len(list) != 1 || len(list[0].Spans) != 2 {
		t.Fatalf("Search() = %v, %v, want one trace of two spans", list, err)
	}
	trace, err := c.Trace(t.Context(), "a1")
	if err != nil || trace.TraceID != "a1" {
		t.Fatalf("Trace() = %v, %v", trace, err)
	}
	get, query := trace.Spans[0], trace.Spans[1]
	if trace.Service(get) != "proxy-service" || trace.Parent(get) != "" || !get.Failed() || get.Tags.Text("http.response.status_code") != "503" || get.Tags.Get("none", "error") != true {
		t.Errorf("first span %+v of %q below %q", get, trace.Service(get), trace.Parent(get))
	}
	if trace.Service(query) != "album-store" || trace.Parent(query) != "1" || query.Failed() || query.Tags.Text("db.response.returned_rows") != "12345678" || query.Tags.Text("none") != "" {
		t.Errorf("second span %+v of %q below %q", query, trace.Service(query), trace.Parent(query))
	}
	if query.Start() != time.UnixMicro(1100) || query.End() != time.UnixMicro(1200) {
		t.Errorf("from %s to %s, want 1100 and 1200 µs", query.Start(), query.End())
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	c := jaeger(t)
	for _, tt := range []struct {
		id      string
		status  int // of an *Error; 0: another error
		message string
		text    string
	}{
		{"none", 404, "", "responded without a trace"},
		{"refused", 400, "malformed trace id", "responded 400 Bad Request: malformed trace id"},
		{"away", 502, "no Jaeger here", "responded 502 Bad Gateway: no Jaeger here"},
		{"page", 0, "", "(text/html; charset=utf-8): invalid character"},
	} {
		_, err := c.Trace(t.Context(), tt.id)
		var e *Error
		if is := errors.As(err, &e); is != (tt.status != 0) || is && (e.Status != tt.status || e.Message != tt.message) || !strings.Contains(err.Error(), c.URL+"/api/traces/"+tt.id+" ") || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("Trace(%q) = %v, want %d, %s", tt.id, err, tt.status, tt.text)
		}
	}
}

// A response that is too large is an error, not a part of it.
func TestReadLimit(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1 << 20: "<nil>", 1<<20 + 1: "the response is larger than 1 MiB"} {
		if b, err := read(strings.NewReader(strings.Repeat("x", n)), 1<<20); fmt.Sprint(err) != want || err == nil && len(b) != n {
			t.Errorf("%d bytes: %d, %v, want %s", n, len(b), err, want)
		}
	}
}

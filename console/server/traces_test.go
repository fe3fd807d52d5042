package server

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTraces(t *testing.T) {
	t.Parallel()
	away := closed(t)
	h := console(t, Config{Jaeger: away})
	for _, tt := range []struct {
		path   string
		status int
		text   string
	}{
		{"/-/traces?service=a", 502, "Jaeger is down at " + away.String()},
		{"/-/map?since=now-5m", 502, "Jaeger is down at " + away.String()},
		{"/-/traces/abc", 502, "Jaeger is down at " + away.String()},
		{"/-/traces/abc/otlp", 502, "Jaeger is down at " + away.String()},
		{"/-/traces?service=a&filter=a+%3D+1+or", 400, "Filter, character 9: want a key"},
		{"/-/traces?tags=a", 400, "tags is not one of"},
		{"/-/traces?start=5&end=4", 400, "start is not before end"},
		{"/-/traces?start=now", 400, "start \\\"now\\\" is not a time in microseconds"},
		{"/-/traces?minDuration=5", 400, "minDuration \\\"5\\\" is not a duration"},
		{"/-/traces?limit=2000", 400, "is not a number from 1 to 1500"},
		{"/-/map", 400, "since is missing"},
		{"/-/map?since=now&until=now-5m", 400, "since is not before until"},
		{"/-/map?since=now-5m&length=3", 400, "length is not one of"},
	} {
		if resp, body := do(t, h, http.MethodGet, tt.path, ""); resp.StatusCode != tt.status || !strings.Contains(body, tt.text) {
			t.Errorf("%s = %d %s, want %d %s", tt.path, resp.StatusCode, body, tt.status, tt.text)
		}
	}
}

// A file of traces is read without Jaeger. Its errors are for people.
func TestReadTraces(t *testing.T) {
	t.Parallel()
	h := console(t, Config{Jaeger: closed(t)})
	file := `{"data":[{"traceID":"ab","spans":[{"spanID":"1","operationName":"GET","startTime":5,"duration":7,"processID":"p"}],"processes":{"p":{"serviceName":"s"}}}]}`
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{file, 200, `"critical":[{"span":"1","from":5,"to":12}]`},
		{"\n" + file + "x", 400, "line 2, column "},
		{strings.Repeat(" ", 32<<20+1), 413, "the file is larger than 32 MiB"},
	} {
		if status, body := post(h, "/-/traces", tt.body, nil); status != tt.status || !strings.Contains(body, tt.text) {
			t.Errorf("%.100s = %d %.300s, want %d %s", tt.body, status, body, tt.status, tt.text)
		}
	}
	if status, _ := post(h, "/-/map", file, nil); status != http.StatusMethodNotAllowed {
		t.Errorf("POST of another path = %d", status)
	}
}

// While many files are read, the response says so.
func TestBusyReading(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if busyReading(w, nil); w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "reading other trace files") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A form of a foreign page cannot send a file.
func TestForeignForm(t *testing.T) {
	t.Parallel()
	h := console(t, Config{Jaeger: closed(t)})
	if status, body := post(h, "/-/traces", "{}", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}}); status != http.StatusForbidden {
		t.Errorf("%d %s", status, body)
	}
}

func post(h http.Handler, path, body string, header http.Header) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1"+path, strings.NewReader(body))
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

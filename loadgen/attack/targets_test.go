package attack

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestReadTargets(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"GET http://a/x\n": 1,
		"GET http://a/x\nX-Key: y\n\nPUT https://b/z\n":                                                     2,
		`{"method":"GET","url":"http://a/x"}` + "\n" + `{"method":"POST","url":"http://a/y","body":"eA=="}`: 2,
	} {
		if got, err := ReadTargets(strings.NewReader(in)); err != nil || len(got) != want {
			t.Errorf("%q: %v, %v, want %d", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                  "there is no target",
		"\n\n":              "there is no target",
		"GET /x\n":          "target 1: ",
		"GET ftp://a/x\n":   `target 1: "ftp://a/x" is not an http:// or https:// URL with a host`,
		"{\"url\":1}":       "target 1: ",
		"GET http://a\n\nx": "target 2: ",
	} {
		if got, err := ReadTargets(strings.NewReader(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
	}
}

func FuzzReadTargets(f *testing.F) {
	for _, s := range []string{"GET http://a/x\nX-Key: y\n\nPUT https://b/z\n", `{"method":"GET","url":"http://a/x","header":{"A":["b"]}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "@") {
			return // a file's name
		}
		list, err := ReadTargets(strings.NewReader(s))
		if err == nil && len(list) == 0 {
			t.Errorf("%q: neither targets nor an error", s)
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
	list, err := ReadTargets(strings.NewReader("GET " + server.URL + "/one\nX-Key: k\n\nPOST " + server.URL + "/two\n\nGET " + server.URL + "/broken\n"))
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
	list, err := ReadTargets(strings.NewReader("GET http://me:secret@" + strings.TrimPrefix(server.URL, "http://") + "/"))
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

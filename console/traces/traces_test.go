package traces

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/jaegerapi"
)

// spanJSON is a span of a trace t in Jaeger's JSON.
func spanJSON(id, parent, process, name string, from, to int64, tags ...string) string {
	refs := `{"refType":"FOLLOWS_FROM","traceID":"t","spanID":"2"}`
	if parent != "" {
		refs += fmt.Sprintf(`,{"refType":"CHILD_OF","traceID":"t","spanID":%q}`, parent)
	}
	return fmt.Sprintf(`{"spanID":%q,"operationName":%q,"references":[%s],"startTime":%d,"duration":%d,"processID":%q,"tags":[%s]}`, id, name, refs, from, to-from, process, strings.Join(tags, ","))
}

func tag(key, value string) string { return fmt.Sprintf(`{"key":%q,"value":%s}`, key, value) }

func answerJSON(spans ...string) string {
	return `{"data":[{"traceID":"t","spans":[` + strings.Join(spans, ",") + `],"processes":{"p1":{"serviceName":"loadgen"},"p2":{"serviceName":"store"}}}]}`
}

var sample = answerJSON(
	spanJSON("2", "1", "p2", "GET", 10, 30, tag("error", "true")),
	spanJSON("3", "2", "p2", "SELECT", 12, 14, tag("db.system.name", `"sqlite"`), tag("span.kind", `"client"`)),
	spanJSON("4", "2", "p2", "wait", 15, 16, tag("db.system.name", `"sqlite"`), tag("span.kind", `"internal"`)),
	spanJSON("1", "", "p1", "GET /a", 5, 25, tag("http.response.status_code", "503")))

func TestSummary(t *testing.T) {
	t.Parallel()
	j, _ := jaeger(t, `[]`)
	r, err := j.Search(t.Context(), Query{Service: "loadgen", Limit: 10})
	got := r.Traces
	want := []Summary{{ID: "t", Service: "loadgen", Name: "GET /a", Status: 503.0, Start: 5, Duration: 25, Spans: 4, Errors: 1, Services: []Service{{"loadgen", 1}, {"store", 3}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Search = %+v, %v, want %+v", got, err, want)
	}
}

// jaeger responds to every search with the sample, except for service "bad", and counts searches.
func jaeger(t *testing.T, services string) (Jaeger, func() []url.Values) {
	t.Helper()
	var mu sync.Mutex
	var queries []url.Values
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/base/api/services":
			fmt.Fprintf(w, `{"data":%s}`, services)
		case r.FormValue("service") == "bad":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"errors":[{"code":400,"msg":"not this one"}]}`)
		case r.FormValue("service") == "broken":
			fmt.Fprint(w, `{"data":[`)
		case strings.HasPrefix(r.URL.Path, "/base/api/traces"):
			mu.Lock()
			queries = append(queries, r.URL.Query())
			mu.Unlock()
			fmt.Fprint(w, sample)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL + "/base")
	if err != nil {
		t.Fatal(err)
	}
	return Jaeger{u, srv.Client()}, func() []url.Values { mu.Lock(); defer mu.Unlock(); return queries }
}

func TestMap(t *testing.T) {
	t.Parallel()
	j, queries := jaeger(t, `["store","loadgen"]`)
	got, err := j.Map(t.Context(), time.Unix(0, 0), time.Unix(300, 0))
	want := Map{Services: []string{"loadgen", "store"}, Traces: 1, Slices: 3, PerSlice: 30, Edges: []Edge{{"loadgen", "store", "call", 1}, {"store", "sqlite", "db", 1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Map = %+v, %v, want %+v", got, err, want)
	}
	parts := map[string]int{}
	for _, q := range queries() {
		parts[q.Get("service")+" "+q.Get("start")+" "+q.Get("end")]++
	}
	if want := map[string]int{"store 0 100000000": 1, "store 100000000 200000000": 1, "store 200000000 300000000": 1,
		"loadgen 0 100000000": 1, "loadgen 100000000 200000000": 1, "loadgen 200000000 300000000": 1}; !reflect.DeepEqual(parts, want) {
		t.Errorf("queries %v, want %v", parts, want)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	j, _ := jaeger(t, `["bad"]`)
	var response *jaegerapi.Error
	if _, err := j.Search(t.Context(), Query{Service: "bad", Limit: 1}); !errors.As(err, &response) || response.Status != 400 || response.Message != "not this one" {
		t.Errorf("Search = %v, want Jaeger's words", err)
	}
	if _, err := j.Map(t.Context(), time.Unix(0, 0), time.Unix(3, 0)); !errors.As(err, &response) {
		t.Errorf("Map = %v, want Jaeger's words", err)
	}
	if _, err := j.Search(t.Context(), Query{Service: "broken", Limit: 1}); err == nil || !strings.Contains(err.Error(), "read the response of") {
		t.Errorf("Search = %v", err)
	}
}

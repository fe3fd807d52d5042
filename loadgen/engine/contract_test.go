package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/overload"
	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/workload"
)

// contractConfig is the configuration of requests from the contract of the album API.
func contractConfig(t *testing.T, url string, spans *tracetest.SpanRecorder, invalid float64) Config {
	t.Helper()
	c := testConfig(url, spans)
	var err error
	if c.Contract, err = contract.Parse("openapi.yaml", albumhttp.Contract); err != nil {
		t.Fatal(err)
	}
	if c.Mix, err = workload.ContractMix(c.Contract, ""); err != nil {
		t.Fatal(err)
	}
	c.Invalid = invalid
	c.Plan = steady(300, 2*time.Second)
	return c
}

// albumService is the handler of the store.
func albumService(t *testing.T) http.Handler {
	t.Helper()
	control, err := overload.New(overload.Options{Concurrency: overload.Concurrency{N: 1000}, WriteShare: 0.5, QueueWait: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store", Docs: http.NotFoundHandler(), Overload: control})
}

// The album service keeps its contract.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, invalid := range []float64{0, 0.2} {
		t.Run(fmt.Sprint(invalid), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(albumService(t))
			defer server.Close()
			spans := tracetest.NewSpanRecorder()
			c := contractConfig(t, server.URL, spans, invalid)
			r := attackOnce(t, t.Context(), c)
			if r.Classes[measure.Good] != 600 || len(r.FailedChecks) > 0 || len(r.Errors) > 0 {
				t.Errorf("%v, errors %v, failed checks %+v", r.Classes, r.Errors, r.FailedChecks)
			}
			broken := 0
			for _, row := range r.Scenarios {
				if strings.HasSuffix(row.Name, contract.InvalidSuffix) {
					broken += row.Requests
				}
				switch row.Name {
				case "getAlbum", "headAlbum":
					if row.Statuses[404] > 0 {
						t.Errorf("%s: %v, want ids that exist", row.Name, row.Statuses)
					}
				case "deleteAlbum":
					if row.Statuses[204] == 0 {
						t.Errorf("deleteAlbum: %v, want ids of created albums", row.Statuses)
					}
				}
			}
			if want := 600 * invalid; float64(broken) < want*0.7 || float64(broken) > want*1.3 {
				t.Errorf("%d invalid requests, want about %g", broken, want)
			}
			for _, span := range spans.Ended() {
				if span.Name() != "GET /albums/{id}" {
					continue
				}
				if !slices.Contains(span.Attributes(), templateKey.String("/albums/{id}")) {
					t.Errorf("span attributes %v", span.Attributes())
				}
				return
			}
			t.Error("no span GET /albums/{id}")
		})
	}
}

// Each kind of violation is a failed check, with the trace.
func TestViolations(t *testing.T) {
	t.Parallel()
	h := albumService(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/albums/"):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"id":0,"title":"a"}`)
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusTeapot)
		case r.Method == http.MethodPost && r.URL.Path == "/albums/batch":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated) // also to invalid ones
			fmt.Fprint(w, `{"count":1,"ids":[1]}`)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			h.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	c := contractConfig(t, server.URL, tracetest.NewSpanRecorder(), 0.3)
	r := attackOnce(t, t.Context(), c)
	find := func(scenario, check string) (found report.FailedCheck) {
		for _, f := range r.FailedChecks {
			if f.Scenario == scenario && strings.HasPrefix(f.Check, check) {
				return f
			}
		}
		t.Errorf("%s: no failed check %q in %+v", scenario, check, r.FailedChecks)
		return found
	}
	for scenario, check := range map[string]string{
		"getAlbum":             "response violates the contract: 200 body /id: minimum",
		"getAlbum-invalid":     "accepted an invalid request: ",
		"putAlbum":             "response violates the contract: undocumented status 418",
		"createAlbums-invalid": "accepted an invalid request: ",
	} {
		if f := find(scenario, check); f.Requests == 0 || f.TraceID == "" || f.Detail == "" {
			t.Errorf("%+v", f)
		}
	}
	for _, row := range r.Scenarios {
		switch row.Name {
		case "getAlbum", "putAlbum", "createAlbums-invalid":
			if row.Classes[measure.Failed] != row.Requests {
				t.Errorf("%s: %v of %d", row.Name, row.Classes, row.Requests)
			}
		case "deleteAlbum":
			if row.Classes[measure.Shed] != row.Requests {
				t.Errorf("deleteAlbum: %v of %d", row.Classes, row.Requests)
			}
		case "createAlbum", "listAlbums":
			if row.Classes[measure.Good] != row.Requests {
				t.Errorf("%s: %v of %d", row.Name, row.Classes, row.Requests)
			}
		}
	}
}

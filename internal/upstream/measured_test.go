package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"soundcheck/internal/telemetry/telemetrytest"
)

// measures returns how many attempts were measured, by status and error.type.
func measures(rec *telemetrytest.Recorder) map[string]uint64 {
	got := map[string]uint64{}
	for _, p := range rec.Metric("http.client.request.duration").Data.(metricdata.Histogram[float64]).DataPoints {
		status, _ := p.Attributes.Value("http.response.status_code")
		reason, _ := p.Attributes.Value("error.type")
		got[fmt.Sprintf("%d %s", status.AsInt64(), reason.AsString())] += p.Count
	}
	return got
}

func recorded(rec *telemetrytest.Recorder, o Options) Options {
	o.TracerProvider, o.MeterProvider, o.Propagator, o.Logger = rec.TracerProvider, rec.MeterProvider, rec.Propagator, rec.Logger
	return o
}

// The other one of a hedge, which is cancelled when the first responds, is no error, and
// neither is a caller who leaves.
func TestCancelled(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, recorded(rec, Options{Timeout: time.Minute, Retries: 2, RetryWait: time.Second, Budget: 1, HedgeAfter: Hedge{After: 10 * time.Millisecond}}),
			func(r *http.Request) (*http.Response, error) {
				if t, _ := r.Context().Value(attemptKey{}).(attempt); t.hedge {
					return respond(r, 200), nil
				}
				return later(r, time.Hour, 200)
			})
		for range 20 {
			if a, err := p.Do(t.Context(), get(true)); err != nil || a.StatusCode != 200 {
				t.Error(a, err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel) // before the hedge
		if _, err := p.Do(ctx, get(true)); err == nil {
			t.Error("a caller that left got a response")
		}
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	cancelled := 0
	for _, s := range rec.Spans() {
		if s.Status.Code == codes.Error {
			t.Errorf("span %s is an error: %s", s.Name, s.Status.Description)
		}
		for _, kv := range s.Attributes {
			if kv.Key == "soundcheck.cancelled" {
				cancelled++
			}
		}
	}
	if cancelled != 21 {
		t.Errorf("%d spans say that they were cancelled, want 21", cancelled)
	}
	if got := measures(rec); len(got) != 1 || got["200 "] != 20 {
		t.Errorf("measured %v, want 20 times 200", got)
	}
}

// deadline is a context whose deadline passes when the test says so.
type deadline struct {
	context.Context
	passed chan struct{}
}

func (d *deadline) Done() <-chan struct{} { return d.passed }

func (d *deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A response that breaks off is no success, whatever its status.
func TestBrokenBody(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broken":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "not all")
		case "/slow":
			fmt.Fprint(w, "not all")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/missing":
			http.NotFound(w, r)
		default:
			fmt.Fprint(w, "all")
		}
	}))
	defer srv.Close()
	down := httptest.NewServer(nil)
	down.Close()
	p, err := New(recorded(rec, Options{URLs: []string{srv.URL}, Timeout: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/broken", "/empty", "/missing", "/whole"} {
		r := get(false)
		r.Path = path
		_, _ = p.Do(t.Context(), r)
	}
	r := get(false)
	r.Path = "/broken"
	resp, err := p.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Body.Read(make([]byte, 1))
	_ = resp.Body.Close() // it was enough
	r.Path = "/slow"
	expiring := &deadline{t.Context(), make(chan struct{})}
	resp, err = p.Open(expiring, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, len("not all"))); err != nil {
		t.Fatal(err)
	}
	close(expiring.passed)
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that the deadline has passed", err)
	}
	_ = resp.Body.Close()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	p, err = New(recorded(rec, Options{URLs: []string{down.URL}}))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = p.Do(t.Context(), get(false))
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	want := map[string]uint64{"200 connection_closed": 1, "200 timeout": 1, "204 ": 1, "404 ": 1, "200 ": 2, "0 connect": 1}
	if got := measures(rec); !maps.Equal(got, want) {
		t.Errorf("measured %v, want %v", got, want)
	}
}

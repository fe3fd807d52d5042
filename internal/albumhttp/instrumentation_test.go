package albumhttp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/fault"
	"soundcheck/internal/overload"
	"soundcheck/internal/telemetry/telemetrytest"
)

// difficult is a Service that fails in all ways.
type difficult struct{ failing }

func (d difficult) Get(ctx context.Context, id int64) (album.Album, error) {
	switch id {
	case 499:
		return album.Album{}, context.Canceled
	case 503:
		return album.Album{}, fmt.Errorf("%w: down", album.ErrNotReady)
	case 504:
		return album.Album{}, album.ErrTimeout
	case 667:
		panic(http.ErrAbortHandler)
	}
	return d.failing.Get(ctx, id)
}

func (d difficult) Stream(ctx context.Context, f album.Filter) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		for i := range 600 {
			if !yield(album.Album{ID: int64(i + 1)}, nil) {
				return
			}
		}
		if f.Genre == "broken" {
			yield(album.Album{}, errors.New("broken"))
		}
	}
}

// record is what an instrumentation recorded, as text, without what telemetry.Setup removes before
// export, and without times, ids and the scope.
func record(t *testing.T, rec *telemetrytest.Recorder) (spans, metrics string) {
	drop := func(list []attribute.KeyValue, keys ...string) string {
		list = slices.Clone(list)
		for i, kv := range list {
			if kv.Key == "http.response.body.size" { // a time in it has six digits, or less
				list[i] = kv.Key.Bool(kv.Value.AsInt64() > 0)
			}
		}
		return telemetrytest.Attributes(slices.DeleteFunc(list, func(kv attribute.KeyValue) bool { return slices.Contains(keys, string(kv.Key)) }))
	}
	for _, s := range rec.Spans() {
		spans += fmt.Sprintf("%s %s %v parent %v %v remote %v dropped %d: %s\n", s.SpanKind, s.Name, s.Status, s.Parent.SpanID(), s.Parent.TraceState(), s.Parent.IsRemote(),
			s.DroppedAttributes, drop(s.Attributes, "client.address", "network.peer.address", "network.peer.port"))
		for _, e := range s.Events {
			spans += fmt.Sprintf("  event %s: %s\n", e.Name, drop(e.Attributes))
		}
	}
	for _, name := range []string{"http.server.request.duration", "http.server.request.body.size", "http.server.response.body.size"} {
		m := rec.Metric(name)
		type total struct {
			requests uint64
			empty    bool
		}
		totals := map[string]total{} // otelgin has a series for each Host header
		add := func(set attribute.Set, bounds []float64, requests uint64, sum int64) {
			k := fmt.Sprintf("  %v %s", bounds, drop(set.ToSlice(), "server.address", "server.port"))
			totals[k] = total{totals[k].requests + requests, sum == 0}
		}
		switch data := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				if p.Sum <= 0 || p.Sum > 600 || len(p.Exemplars) == 0 {
					t.Errorf("%s: the sum is %v s, %d exemplars", p.Attributes.Encoded(attribute.DefaultEncoder()), p.Sum, len(p.Exemplars))
				}
				add(p.Attributes, p.Bounds, p.Count, 0)
			}
		case metricdata.Histogram[int64]:
			for _, p := range data.DataPoints {
				add(p.Attributes, p.Bounds, p.Count, p.Sum)
			}
		default:
			t.Fatalf("%s is %T", name, m.Data)
		}
		var lines []string
		for k, v := range totals {
			lines = append(lines, fmt.Sprintf("%s: %d requests, empty %v\n", k, v.requests, v.empty))
		}
		slices.Sort(lines)
		metrics += fmt.Sprintf("%s %q %s\n%s", m.Name, m.Description, m.Unit, strings.Join(lines, ""))
	}
	return spans, metrics
}

// httptelemetry records the same as otelgin, for every route and outcome.
func TestInstrumentations(t *testing.T) {
	t.Parallel()
	var requests []func() *http.Request
	add := func(method, path, body string, change func(*http.Request)) {
		requests = append(requests, func() *http.Request {
			r := httptest.NewRequest(http.MethodGet, path, strings.NewReader(body))
			r.Method = method
			r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			r.Header.Set("Tracestate", "a=b")
			if body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			if change != nil {
				change(r)
			}
			return r
		})
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	one := `{"title":"ab","artist":"cd","price":1}`
	for _, path := range []string{"/albums", "/albums?x=1", "/albums/1", "/albums/404", "/albums/X", "/albums/499", "/albums/500", "/albums/503", "/albums/504", "/albums/666",
		"/albums/667", "/albums/batch", "/operations/x", "/openapi.yaml", "/v3/api-docs", "/nope", "/albums/1/", "/"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "FOO", "foo"} {
			add(method, path, "", nil)
		}
	}
	add("POST", "/albums", one, nil)
	add("POST", "/albums", one, header("Prefer", "respond-async"))
	add("POST", "/albums", `{"id":1,`+one[1:], nil)
	add("POST", "/albums", `{`, nil)
	add("POST", "/albums", strings.Repeat(" ", 2<<20), nil)
	add("POST", "/albums/batch", "["+one+"]", nil)
	add("PUT", "/albums/7", one, nil)
	add("PUT", "/albums/7", one, nil)
	add("GET", "/albums/1", "", header("Accept", "text/html"))
	add("GET", "/albums/1", "", header("User-Agent", "test"))
	add("GET", "/albums/1", "", header("X-Request-Timeout", "0"))
	add("GET", "/albums", "", header("Accept", "application/x-ndjson"))
	add("GET", "/albums?genre=broken", "", header("Accept", "application/x-ndjson"))
	for _, host := range []string{"", "x", "x:80", "x:443", "x:8080", "x:0", "x:99999", "[::1]", "[::1]:9", "[::1", "a:b:c"} {
		add("GET", "/albums/1", "", func(r *http.Request) { r.Host = host })
		add("GET", "/albums/1", "", func(r *http.Request) { r.Host, r.TLS = host, &tls.ConnectionState{} })
	}
	for _, proto := range []string{"HTTP/1.0", "HTTP/2.0", "HTTP/1.9"} {
		add("GET", "/albums/1", "", func(r *http.Request) { r.Proto = proto })
	}
	add("GET", "/albums/1", "", func(r *http.Request) { // the client has left
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	add("GET", "/albums/1", "", func(r *http.Request) { r.Header.Del("Traceparent") })
	add("GET", "/albums/1", "", header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"))

	for name, faults := range map[string]string{"no faults": "", "errors": "error=418@100%", "drops": "drop=100%"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var spans, metrics [2]string
			for i := range spans {
				rec := telemetrytest.New(t)
				set := fault.New(1, fault.Error, fault.Drop)
				if faults != "" {
					if err := set.Replace(t.Context(), faults); err != nil {
						t.Fatal(err)
					}
				}
				control, err := overload.New(overload.Options{Concurrency: overload.Concurrency{N: 10}, WriteShare: 0.5, Queue: 1, ClientRate: 0.001, ClientBurst: 240}, nil)
				if err != nil {
					t.Fatal(err)
				}
				h := albumhttp.Handler(difficult{failing{album.NewMemory(album.Seed()...)}}, albumhttp.HandlerOptions{Service: "album-store", Telemetry: signals(rec), Otelgin: i == 0, Overload: control, Faults: set})
				for _, create := range requests {
					r := create()
					func() {
						defer func() {
							if v := recover(); v != nil && v != http.ErrAbortHandler {
								panic(v)
							}
						}()
						h.ServeHTTP(httptest.NewRecorder(), r)
					}()
				}
				if spans[i], metrics[i] = record(t, rec); len(rec.Spans()) != len(requests)-1 {
					t.Errorf("%d spans, want %d: all but the one that is not sampled", len(rec.Spans()), len(requests)-1)
				}
			}
			for _, pair := range [][2]string{spans, metrics} {
				want, got := strings.Split(pair[0], "\n"), strings.Split(pair[1], "\n")
				if len(want) < 10 || len(got) != len(want) {
					t.Fatalf("%d lines, want %d:\n%s\n\nwant\n%s", len(got), len(want), pair[1], pair[0])
				}
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("got  %s\nwant %s", got[i], want[i])
					}
				}
			}
		})
	}
}

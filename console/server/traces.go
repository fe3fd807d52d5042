package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"soundcheck/console/traces"
	"soundcheck/internal/jaegerapi"
)

// searchTraces responds with summaries of traces: service (none: all), operation, minDuration,
// maxDuration, start and end in µs since 1970 (the last hour), filter, and limit (100).
func searchTraces(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		v := values{Values: r.URL.Query()}
		v.only("service", "operation", "minDuration", "maxDuration", "start", "end", "filter", "limit")
		q := traces.Query{Service: v.Get("service"), Operation: v.Get("operation"), Min: v.duration("minDuration"), Max: v.duration("maxDuration"),
			End: v.micros("end", time.Now()), Limit: v.number("limit", 100, 1, traces.MaxLimit)}
		q.Start = v.micros("start", q.End.Add(-time.Hour))
		if !q.Start.Before(q.End) {
			v.bad("start", "is not before end")
		}
		if v.err != nil {
			return nil, v.err
		}
		var err error
		if q.Filter, err = traces.ParseFilter(v.Get("filter")); err != nil {
			return nil, failure(http.StatusBadRequest, "%s", err)
		}
		found, err := c.traces().Search(r.Context(), q)
		return found, c.ofJaeger(r.Context(), err)
	}
}

// oneTrace responds with a trace and its critical path.
func oneTrace(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		page, err := c.traces().Page(r.Context(), r.PathValue("id"))
		return page, c.ofJaeger(r.Context(), err)
	}
}

// otlpTrace responds with a trace as a file of OTLP JSON.
func otlpTrace(c Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := c.traces().OTLP(r.Context(), r.PathValue("id"))
		if err != nil {
			respond(func(*http.Request) (any, error) { return nil, c.ofJaeger(r.Context(), err) })(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(b) // an error means that the client has disconnected
	}
}

// busyReading responds while too many files of traces are read.
func busyReading(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "10")
	fail(w, http.StatusTooManyRequests, "the console is reading other trace files: try again in some seconds")
}

// readTraces responds with the traces of the file in the body. It stores nothing.
func readTraces(r *http.Request) (any, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, traces.MaxFile+1))
	if err != nil {
		return nil, failure(http.StatusBadRequest, "read the file: %v", err)
	}
	if len(b) > traces.MaxFile {
		return nil, failure(http.StatusRequestEntityTooLarge, "the file is larger than %d MiB", traces.MaxFile>>20)
	}
	f, err := traces.ReadFile(b)
	if err != nil {
		return nil, failure(http.StatusBadRequest, "%s", err)
	}
	return f, nil
}

// serviceMap responds with the calls between services from since to until.
func serviceMap(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		now := time.Now()
		v := values{Values: r.URL.Query()}
		v.only("since", "until")
		since, until := v.time("since", now), v.time("until", now)
		if since.IsZero() {
			v.bad("since", "is missing")
		}
		if until.IsZero() {
			until = now
		}
		if !since.Before(until) {
			v.bad("since", "is not before until")
		}
		if v.err != nil {
			return nil, v.err
		}
		m, err := c.traces().Map(r.Context(), since, until)
		return m, c.ofJaeger(r.Context(), err)
	}
}

func (c Config) traces() traces.Jaeger {
	return traces.Jaeger{URL: c.Jaeger, Client: &http.Client{Transport: toBackends}}
}

// ofJaeger converts an error of Jaeger for the pages.
func (c Config) ofJaeger(ctx context.Context, err error) error {
	if errors.Is(err, traces.ErrNotFound) {
		return failure(http.StatusNotFound, "%s", err)
	}
	if response, ok := errors.AsType[*jaegerapi.Error](err); ok {
		return failure(response.Status, "%s", cmp.Or(response.Message, response.Error()))
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return failure(http.StatusBadGateway, "%s", c.backend("Jaeger", c.Jaeger).unavailable(ctx, err))
}

package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"soundcheck/console/traces"
	"soundcheck/internal/jaegerapi"
)

// searchTraces responds with summaries of the traces that Jaeger finds. The parameters
// are those of Jaeger's /api/traces.
func searchTraces(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		list, err := c.traces().Search(r.Context(), r.URL.Query())
		return map[string]any{"traces": list}, c.ofJaeger(r.Context(), err)
	}
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
	if response, ok := errors.AsType[*jaegerapi.Error](err); ok {
		return failure(response.Status, "%s", cmp.Or(response.Message, response.Error()))
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return failure(http.StatusBadGateway, "%s", c.backend("Jaeger", c.Jaeger).unavailable(ctx, err))
}

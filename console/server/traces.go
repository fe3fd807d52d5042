package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"soundcheck/console/traces"
	"soundcheck/internal/jaegerapi"
)

// searchTraces responds with summaries of the traces that Jaeger finds. The parameters
// are those of Jaeger's /api/traces.
func searchTraces(j traces.Jaeger) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		list, err := j.Search(r.Context(), r.URL.Query())
		return map[string]any{"traces": list}, ofJaeger(j.URL, err)
	}
}

// serviceMap responds with the calls between services from since to until.
func serviceMap(j traces.Jaeger) func(*http.Request) (any, error) {
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
		m, err := j.Map(r.Context(), since, until)
		return m, ofJaeger(j.URL, err)
	}
}

// ofJaeger converts an error of Jaeger for the pages.
func ofJaeger(at *url.URL, err error) error {
	if response, ok := errors.AsType[*jaegerapi.Error](err); ok {
		return failure(response.Status, "%s", cmp.Or(response.Message, response.Error()))
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return failure(http.StatusBadGateway, "%s", unavailable("Jaeger", at, err))
}

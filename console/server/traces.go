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

// searchTraces answers what the list of traces shows of those that Jaeger finds. The values
// are those of Jaeger's /api/traces.
func searchTraces(j traces.Jaeger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list, err := j.Search(r.Context(), r.URL.Query())
		if err != nil {
			failTraces(w, j.URL, err)
			return
		}
		reply(w, http.StatusOK, map[string]any{"traces": list})
	}
}

// serviceMap answers who called whom from since to until.
func serviceMap(j traces.Jaeger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
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
		if v.err == nil && !since.Before(until) {
			v.bad("since", "is not before until")
		}
		if v.err != nil {
			fail(w, http.StatusBadRequest, v.err.Error())
			return
		}
		m, err := j.Map(r.Context(), since, until)
		if err != nil {
			failTraces(w, j.URL, err)
			return
		}
		reply(w, http.StatusOK, m)
	}
}

func failTraces(w http.ResponseWriter, at *url.URL, err error) {
	var response *jaegerapi.Error
	switch {
	case errors.As(err, &response):
		fail(w, response.Status, cmp.Or(response.Message, response.Error()))
	case errors.Is(err, context.Canceled): // the reader has left
	default:
		fail(w, http.StatusBadGateway, unavailable("Jaeger", at, err))
	}
}

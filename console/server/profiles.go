package server

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"soundcheck/console/profiles"
)

// pprofPolicy is the Content-Security-Policy of pprof's pages, which have inline scripts and styles: see
// reportPolicy.
const pprofPolicy = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-modals allow-downloads; default-src 'none'; script-src 'unsafe-inline'; " +
	"style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pprofPath is where the pages of profiles are.
const pprofPath = "/-/pprof"

// viewProfiles serves pprof's pages.
func viewProfiles(folder string) http.Handler {
	viewer := http.StripPrefix(pprofPath, profiles.NewViewer(folder))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pprofPolicy)
		w.Header().Set("Cache-Control", "no-cache")
		viewer.ServeHTTP(w, r)
	})
}

// profiles responds with the profiles of a run.
func (rs *runs) profiles(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if !runID.MatchString(id) {
		return nil, failure(http.StatusBadRequest, "invalid run ID %q", id)
	}
	list, err := profiles.List(rs.folder, id)
	return map[string]any{"profiles": list}, err
}

// found is a profile with the number of its samples.
type found struct {
	profiles.File
	Samples profiles.Samples `json:"samples"`
}

// maxFound is how many profiles of a moment are read.
const maxFound = 4

// profilesAt responds with the profiles of a service at a time, and how many samples are of a trace and of a route.
func (rs *runs) profilesAt(r *http.Request) (any, error) {
	v := &values{Values: r.URL.Query()}
	v.only("service", "from", "to", "trace", "route")
	now := time.Now()
	service, trace, route := v.text("service", 100), v.text("trace", 64), v.text("route", 500)
	from, to := v.time("from", now), v.time("to", now)
	switch {
	case v.err != nil:
		return nil, v.err
	case service == "" || from.IsZero() || to.IsZero() || to.Before(from):
		return nil, failure(http.StatusBadRequest, "service, from and to are required, and to is not before from")
	}
	list, err := profiles.At(rs.folder, service, from, to)
	if err != nil {
		return nil, err
	}
	if err := rs.turn(r); err != nil {
		return nil, err
	}
	defer rs.leave()
	all := []found{}
	for _, f := range list[:min(len(list), maxFound)] {
		n, err := profiles.Count(rs.folder, f, trace, route)
		if err != nil {
			return nil, failure(http.StatusUnprocessableEntity, "%v", err)
		}
		all = append(all, found{f, n})
	}
	slices.SortStableFunc(all, func(a, b found) int { return strings.Compare(a.Run, b.Run) })
	return map[string]any{"profiles": all}, nil
}

package server

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"regexp"
	"time"

	"soundcheck/console/logs"
)

// logsTimeout is how long one look through the logs takes at most.
const logsTimeout = 3 * time.Second

var traceID = regexp.MustCompile(`^[0-9a-fA-F]{1,32}$`)

// readLogs answers lines of the programs' logs:
//
//	service        of this program; may come several times
//	level          debug, info, warn or error: of this or above
//	q              with this text in any part of the line
//	trace          that name this trace
//	since, until   of this time
//	limit          at most; the newest
//	after          that came since a look whose newest it is
//	before         that are before a look whose oldest it is
func readLogs(state string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, now := values{Values: r.URL.Query()}, time.Now()
		v.only("service", "level", "q", "trace", "since", "until", "limit", "after", "before")
		q := logs.Query{Services: v.Values["service"], Level: v.oneOf("level", "debug", "info", "warn", "error"), Text: v.text("q", 500),
			Trace: v.like("trace", traceID, "a trace id"), Since: v.time("since", now), Until: v.time("until", now),
			Limit: v.number("limit", 200, 1, 2000), After: v.text("after", 8<<10), Before: v.text("before", 8<<10)}
		if len(q.Services) > 50 {
			v.bad("service", "is given more than 50 times")
		}
		if v.err != nil {
			fail(w, http.StatusBadRequest, v.err.Error())
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), logsTimeout)
		defer cancel()
		page, err := logs.Read(ctx, filepath.Join(state, "logs"), q)
		switch {
		case errors.Is(err, logs.ErrCursor):
			fail(w, http.StatusBadRequest, "after or before: "+err.Error())
		case err != nil:
			fail(w, http.StatusInternalServerError, err.Error())
		default:
			reply(w, http.StatusOK, page)
		}
	}
}

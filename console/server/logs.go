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
func readLogs(state string) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		v, now := values{Values: r.URL.Query()}, time.Now()
		v.only("service", "level", "q", "trace", "since", "until", "limit", "after", "before")
		q := logs.Query{Services: v.Values["service"], Level: v.oneOf("level", "debug", "info", "warn", "error"), Text: v.text("q", 500),
			Trace: v.like("trace", traceID, "a trace id"), Since: v.time("since", now), Until: v.time("until", now),
			Limit: v.number("limit", 200, 1, 2000), After: v.text("after", 8<<10), Before: v.text("before", 8<<10)}
		if len(q.Services) > 50 {
			v.bad("service", "is given more than 50 times")
		}
		if v.err != nil {
			return nil, v.err
		}
		ctx, cancel := context.WithTimeout(r.Context(), logsTimeout)
		defer cancel()
		page, err := logs.Read(ctx, filepath.Join(state, "logs"), q)
		if errors.Is(err, logs.ErrCursor) {
			err = failure(http.StatusBadRequest, "after or before: %v", err)
		}
		return page, err
	}
}

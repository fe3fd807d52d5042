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

// logsTimeout is the timeout of a log search.
const logsTimeout = 3 * time.Second

var traceID = regexp.MustCompile(`^[0-9a-fA-F]{1,32}$`)

// readLogs responds with lines of component logs:
//
//	service        of this component; repeatable
//	level          debug, info, warn or error: this level or above
//	q              lines with this text
//	trace          lines with this trace ID
//	since, until   time range
//	limit          max lines, the newest
//	after          lines since a response with this newest
//	before         lines before a response with this oldest
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

package overload

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/album"
)

// TimeoutHeader carries how many milliseconds the client will wait, from when the
// request arrives.
const TimeoutHeader = "X-Request-Timeout"

// maxTimeout is the longest time that a client may name: a day, so that what is
// meant as "for ever" is accepted.
const maxTimeout = 24 * time.Hour

// limitTime gives the request's context the earlier one of the client's deadline and
// the server's. The caller ends it with the returned function.
func (c *Control) limitTime(g *gin.Context, class Class) (context.CancelFunc, error) {
	limit := c.o.RequestTimeout
	if class == Stream {
		limit = 0 // it is as long as its client reads
	}
	if values := g.Request.Header.Values(TimeoutHeader); len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || len(values) > 1 || ms < 1 || ms > maxTimeout.Milliseconds() {
			invalid := new(album.InvalidError)
			invalid.Add(TimeoutHeader, fmt.Sprintf("must be one number of milliseconds, 1 to %d", maxTimeout.Milliseconds()))
			return nil, invalid
		}
		if asked := time.Duration(ms) * time.Millisecond; limit == 0 || asked < limit {
			limit = asked
		}
	}
	if limit == 0 {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(g.Request.Context(), limit)
	g.Request = g.Request.WithContext(ctx)
	return cancel, nil
}

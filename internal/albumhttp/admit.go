package albumhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/overload"
	"soundcheck/internal/upstream"
)

// classify returns which share of a service's concurrency a request takes from.
func classify(c *gin.Context) overload.Class {
	switch {
	case c.FullPath() == batchPath:
		return overload.Batch
	case c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead:
		return overload.Write
	case c.Request.Method == http.MethodGet && strings.Contains(strings.ToLower(c.GetHeader("Accept")), ndjsonType):
		return overload.Stream
	default:
		return overload.Read
	}
}

// refusedKey is where fail notes why a request was refused.
const refusedKey = "soundcheck/refused"

// refusal reports whether err says that the service, or the store behind it, did not
// begin the work. That is no failure: it is meant to happen when there is too much.
func refusal(err error) bool {
	for _, e := range []error{overload.ErrRateLimited, overload.ErrOverloaded, upstream.ErrOpen, upstream.ErrBudget, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// failWith answers with a status that a fault asks for, and with the problem that
// most often has it.
func (h *handler) failWith(c *gin.Context, status int) {
	for _, row := range problems {
		if row.status == status {
			h.fail(c, fmt.Errorf("%w (a fault)", row.err))
			return
		}
	}
	h.fail(c, faultError(status))
}

// faultError is a status that no other error here has.
type faultError int

func (e faultError) Error() string { return "a fault" }

// drop cuts the connection without an answer, because a fault asks for it.
func (h *handler) drop(c *gin.Context) {
	c.Abort()
	c.Status(http.StatusInternalServerError) // for the span and the log; nobody reads it
	c.Set(abortKey, true)
}

package albumhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/overload"
	"soundcheck/internal/upstream"
)

// classify returns the concurrency class of a request.
func classify(c *gin.Context) overload.Class {
	switch {
	case c.FullPath() == batchPath:
		return overload.Batch
	case c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead:
		return overload.Write
	case c.Request.Method == http.MethodGet && c.FullPath() == "/albums":
		if media, err := accepted(c.Request, jsonType, ndjsonType); err == nil && media == ndjsonType {
			return overload.Stream
		}
	}
	return overload.Read
}

// closeBody releases the memory of the request's body when the request ends.
func (h *handler) closeBody(c *gin.Context) {
	defer func() {
		if r, ok := c.Request.Body.(*received); ok {
			r.Close()
		}
	}()
	c.Next()
}

// receiveOnly is receive for a handler without overload control.
func (h *handler) receiveOnly(c *gin.Context) {
	if err := h.receive(c); err != nil {
		h.fail(c, err)
	}
}

// shedKey is the context key of the reason for which a request was shed or rejected.
const shedKey = "soundcheck/shed"

// isShed reports whether the service, or the store behind it, shed or rejected the request, or
// its deadline passed. That is expected under overload, and no failure.
func isShed(c *gin.Context, err error, status int) bool {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return false
	}
	var shed *overload.Shed
	var shedByProxy *upstream.ShedError
	var later *retryAfterError
	return errors.As(err, &shed) || errors.As(err, &shedByProxy) || errors.As(err, &later) ||
		errors.Is(c.Request.Context().Err(), context.DeadlineExceeded)
}

// failWith responds with the status of an injected fault, and with the first problem of that
// status.
func (h *handler) failWith(c *gin.Context, status int) {
	for _, row := range problems {
		if row.status == status {
			h.fail(c, fmt.Errorf("%w (injected fault)", row.err))
			return
		}
	}
	h.fail(c, faultError(status))
}

// faultError is a status without a problem of its own.
type faultError int

func (e faultError) Error() string { return "injected fault" }

// drop closes the connection without a response, for an injected fault.
func (h *handler) drop(c *gin.Context) {
	c.Abort()
	c.Status(http.StatusInternalServerError) // for the span and the log
	c.Set(abortKey, true)
}

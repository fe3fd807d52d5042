package albumhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/albumapi"
	"soundcheck/internal/overload"
)

// classify returns the concurrency class of a request.
func classify(c *gin.Context) overload.Class {
	switch {
	case c.FullPath() == batchPath:
		return overload.Batch
	case c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead:
		return overload.Write
	case c.Request.Method == http.MethodGet && c.FullPath() == "/albums":
		if media, err := accepted(c.Request, albumapi.JSONType, albumapi.NDJSONType); err == nil && media == albumapi.NDJSONType {
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
	var timed interface{ RetryAfter() time.Duration }
	return errors.As(err, &timed) || errors.Is(c.Request.Context().Err(), context.DeadlineExceeded)
}

// failWith responds with the status of an injected fault, and with the first problem of that
// status.
func (h *handler) failWith(c *gin.Context, status int) {
	if err := albumapi.StatusError(status); err != nil {
		h.fail(c, fmt.Errorf("%w (injected fault)", err))
		return
	}
	h.fail(c, faultError(status))
}

// drop closes the connection without a response, for an injected fault.
func (h *handler) drop(c *gin.Context) {
	c.Abort()
	c.Status(http.StatusInternalServerError) // for the span and the log
	c.Set(abortKey, true)
}

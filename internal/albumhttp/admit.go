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

// classify returns which share of a service's concurrency a request takes from.
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

// closeBody gives the memory of the request's body back when the request ends.
func (h *handler) closeBody(c *gin.Context) {
	defer func() {
		if r, ok := c.Request.Body.(*received); ok {
			r.Close()
		}
	}()
	c.Next()
}

// receiveOnly is receive for a service without overload control.
func (h *handler) receiveOnly(c *gin.Context) {
	if err := h.receive(c); err != nil {
		h.fail(c, err)
	}
}

// refusedKey is where fail notes why a request was refused.
const refusedKey = "soundcheck/refused"

// refusal reports whether err says that the service, or the store behind it, does not
// do what was asked because there is too much, or its time is over. That is no failure:
// it is meant to happen.
func refusal(c *gin.Context, err error, status int) bool {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return false
	}
	var shed *overload.Shed
	var shedByProxy *upstream.ShedError
	var later *laterError
	return errors.As(err, &shed) || errors.As(err, &shedByProxy) || errors.As(err, &later) ||
		errors.Is(c.Request.Context().Err(), context.DeadlineExceeded)
}

// failWith answers with a status that a fault asks for, and with the problem that
// most often has it.
func (h *handler) failWith(c *gin.Context, status int) {
	for _, row := range problems {
		if row.status == status {
			h.fail(c, fmt.Errorf("%w (injected fault)", row.err))
			return
		}
	}
	h.fail(c, faultError(status))
}

// faultError is a status that no other error here has.
type faultError int

func (e faultError) Error() string { return "injected fault" }

// drop cuts the connection without an answer, because a fault asks for it.
func (h *handler) drop(c *gin.Context) {
	c.Abort()
	c.Status(http.StatusInternalServerError) // for the span and the log; nobody reads it
	c.Set(abortKey, true)
}

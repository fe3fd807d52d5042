package albumhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// maxPreread is how much of a body is read before a place is taken: every album that
// is valid, and most that are not.
const maxPreread = 64 << 10

// preread reads a short body before its request asks for a place: a client that sends
// slowly must not keep one from others, and one that leaves while it waits is noticed
// only after its body (net/http reads on from there).
func (h *handler) preread(c *gin.Context) {
	if c.Request.Body == nil || c.Request.Body == http.NoBody || c.FullPath() == batchPath {
		return
	}
	head, err := io.ReadAll(io.LimitReader(c.Request.Body, maxPreread))
	if err != nil {
		h.fail(c, readError(err))
		return
	}
	var whole io.Reader = bytes.NewReader(head)
	if len(head) == maxPreread {
		whole = io.MultiReader(whole, c.Request.Body)
	}
	c.Request.Body = struct {
		io.Reader
		io.Closer
	}{whole, c.Request.Body}
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
	var unasked *upstream.Unasked
	var later *laterError
	return errors.As(err, &shed) || errors.As(err, &unasked) || errors.As(err, &later) ||
		errors.Is(c.Request.Context().Err(), context.DeadlineExceeded)
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

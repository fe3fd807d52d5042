package albumhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/album"
)

const (
	// streamChunk is how many albums are sent at once.
	streamChunk = 500
	// streamTimeout is how long the client may take to read a chunk.
	streamTimeout = 30 * time.Second
)

// stream answers with all albums that match, one JSON object a line. An error
// after the first chunk cuts the connection: the client must not take a part for
// the whole.
func (h *handler) stream(c *gin.Context, f album.Filter) {
	if c.Request.Method == http.MethodHead {
		c.Header("Content-Type", ndjsonType)
		c.Status(http.StatusOK)
		return
	}
	ctx := c.Request.Context()
	out := chunks{c: c, control: http.NewResponseController(c.Writer)}
	enc := json.NewEncoder(&out.buf)
	n := 0
	for a, err := range h.svc.Stream(ctx, f) {
		if err == nil {
			err = enc.Encode(a)
		}
		if n++; err == nil && n%streamChunk == 0 {
			err = out.flush()
		}
		if err != nil {
			h.breakOff(c, err)
			return
		}
	}
	if err := out.flush(); err != nil {
		h.breakOff(c, err)
	}
}

// chunks writes to a client as fast as it reads.
type chunks struct {
	c       *gin.Context
	control *http.ResponseController
	buf     bytes.Buffer
}

func (o *chunks) flush() error {
	o.c.Header("Content-Type", ndjsonType)
	o.c.Status(http.StatusOK)
	// The server's own limit is for an answer as a whole.
	if err := o.control.SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	if _, err := o.buf.WriteTo(o.c.Writer); err != nil {
		return context.Canceled // the client has left
	}
	return o.control.Flush()
}

// breakOff ends an answer that cannot be brought to its end.
func (h *handler) breakOff(c *gin.Context, err error) {
	if !c.Writer.Written() {
		h.fail(c, err)
		return
	}
	if c.Request.Context().Err() == nil {
		_ = c.Error(err)
	}
	c.Set(abortKey, true)
}

const abortKey = "soundcheck/abort"

// abort cuts the connection after the other middleware has recorded the request. A
// panic in the handler itself would skip that.
func abort(c *gin.Context) {
	c.Next()
	if c.GetBool(abortKey) {
		panic(http.ErrAbortHandler)
	}
}

package albumhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
)

const (
	// streamChunk is the number of albums per write.
	streamChunk = 500
	// streamTimeout is the timeout for the client to read a chunk.
	streamTimeout = 30 * time.Second
)

// stream responds with all matching albums, one JSON object per line. An error after the first
// chunk closes the connection, so that the client sees an incomplete response.
func (h *handler) stream(c *gin.Context, f album.Filter) {
	if c.Request.Method == http.MethodHead {
		c.Header("Content-Type", albumapi.NDJSONType)
		c.Status(http.StatusOK)
		return
	}
	ctx := c.Request.Context()
	out := chunks{c: c, control: http.NewResponseController(c.Writer)}
	n := 0
	for a, err := range h.svc.Stream(ctx, f) {
		if err == nil {
			err = out.add(&a)
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

// chunks writes chunks at the pace of the client.
type chunks struct {
	c       *gin.Context
	control *http.ResponseController
	buf     []byte
}

func (o *chunks) add(a *album.Album) (err error) {
	o.buf, err = albumapi.AppendAlbum(o.buf, a, true)
	o.buf = append(o.buf, '\n')
	return err
}

func (o *chunks) flush() error {
	o.c.Header("Content-Type", albumapi.NDJSONType)
	o.c.Status(http.StatusOK)
	// The server's write timeout is for a whole response.
	if err := o.control.SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	_, err := o.c.Writer.Write(o.buf)
	o.buf = o.buf[:0]
	if err != nil {
		return context.Canceled // the client has left
	}
	return o.control.Flush()
}

// breakOff aborts an incomplete response.
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

// abort closes the connection after the other middleware has recorded the request. A panic in the
// handler would skip that.
func abort(c *gin.Context) {
	c.Next()
	if c.GetBool(abortKey) {
		panic(http.ErrAbortHandler)
	}
}

package albumhttp

import (
	"sync"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
)

// maxBuffer is the maximum size of a buffer that is reused, in bytes: a page of 1,000 albums.
const maxBuffer = 256 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// jsonType is the Content-Type of gin's JSON method.
var jsonType = []string{"application/json; charset=utf-8"}

// respond responds with the JSON that encode appends to a buffer.
func respond(c *gin.Context, status int, encode func([]byte) ([]byte, error)) {
	buffer := buffers.Get().(*[]byte)
	body, err := encode((*buffer)[:0])
	finish(c, status, buffer, body, err)
}

// respondAlbum is respond for an album, without a function.
func respondAlbum(c *gin.Context, status int, a *album.Album) {
	buffer := buffers.Get().(*[]byte)
	body, err := albumapi.AppendAlbum((*buffer)[:0], a, true)
	finish(c, status, buffer, body, err)
}

// finish writes a body, and reuses its buffer, but not after an error: HTTP/2 may still be sending from it
// when Write returns because the client cancelled.
func finish(c *gin.Context, status int, buffer *[]byte, body []byte, err error) {
	c.Status(status)
	c.Writer.Header()["Content-Type"] = jsonType
	if err == nil {
		_, err = c.Writer.Write(body)
	}
	if err != nil {
		_ = c.Error(err).SetType(gin.ErrorTypeRender)
		c.Abort()
		return
	}
	if *buffer = body; cap(body) <= maxBuffer {
		buffers.Put(buffer)
	}
}

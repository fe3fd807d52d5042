package albumhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
)

// maxShedLog is the maximum number of shed requests that are logged per second. Logging all would
// cost about as much as shedding saves. The metrics count all of them.
const maxShedLog = 10

// accessLog writes one line per request, with the error of a 5xx. It runs inside the
// instrumentation, which removes the span from the context when it returns.
func (h *handler) accessLog(c *gin.Context) {
	start := time.Now()
	c.Writer = sizedWriter{c.Writer, c.Request.Method == http.MethodHead}
	c.Next()
	status := c.Writer.Status()
	level, reason := slog.LevelInfo, c.GetString(shedKey)
	switch {
	case reason != "" && !h.shedLog.AllowN(start, 1):
		return
	case reason != "":
		level = slog.LevelWarn
	case status >= 500:
		level = slog.LevelError
	}
	ctx, now := c.Request.Context(), time.Now()
	if !h.log.Enabled(ctx, level) {
		return
	}
	var list [8]slog.Attr
	attrs := append(list[:0], slog.String("http.request.method", c.Request.Method),
		slog.String("url.path", c.Request.URL.Path),
		slog.Int("http.response.status_code", status),
		slog.Int("http.response.body.size", c.Writer.Size()),
		slog.Float64("duration_ms", float64(now.Sub(start).Microseconds())/1000))
	if route := c.FullPath(); route != "" {
		attrs = append(attrs, slog.String("http.route", route))
	}
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	if len(c.Errors) > 0 {
		attrs = append(attrs, slog.String("error", c.Errors.Last().Error()))
	}
	// As Logger.LogAttrs, but without the place in the source, which nothing shows: to find it takes a fifth of a line.
	line := slog.NewRecord(now, level, "request", 0)
	line.AddAttrs(attrs...)
	_ = h.log.Handler().Handle(ctx, line)
}

// sizedWriter reports the size of the body for the log, the span and the metrics: gin's own is -1
// without a body, and counts the body that HEAD omits.
type sizedWriter struct {
	gin.ResponseWriter
	head bool
}

func (w sizedWriter) Size() int {
	if w.head {
		return 0
	}
	return max(w.ResponseWriter.Size(), 0)
}

// Unwrap is for http.ResponseController.
func (w sizedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recovery turns a panic into a 500. It runs inside the instrumentation, which records
// status and metrics only when the handlers return.
func (h *handler) recovery(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { // a handler aborts the connection
			panic(v)
		}
		h.log.ErrorContext(c.Request.Context(), "panic", slog.Any("value", v), slog.String("stack", string(debug.Stack())))
		h.fail(c, fmt.Errorf("panic: %v", v))
	}()
	c.Next()
}

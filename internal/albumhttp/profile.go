package albumhttp

import (
	"context"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/profiling"
)

// label labels the CPU samples of a request, if a CPU profile is being taken.
func label(c *gin.Context) {
	if !profiling.Active() {
		return
	}
	span := trace.SpanContextFromContext(c.Request.Context())
	labels := []string{profiling.Route, c.Request.Method + " " + c.FullPath()}
	if span.IsValid() {
		labels = append(labels, profiling.TraceID, span.TraceID().String(), profiling.SpanID, span.SpanID().String())
	}
	profiling.Label(c.Request.Context(), func(ctx context.Context) {
		before := c.Request
		defer func() { c.Request = before }()
		c.Request = before.WithContext(ctx)
		c.Next()
	}, labels...)
}

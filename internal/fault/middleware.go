package fault

import (
	"github.com/gin-gonic/gin"
)

// Middleware injects latency, errors and drops into admitted requests. Fail responds with a
// status, drop closes the connection.
func (s *Set) Middleware(fail func(*gin.Context, int), drop func(*gin.Context)) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, m := c.Request.Context(), met{Set: s}
		if f := s.chance(Latency); f != nil {
			// If the client leaves, the handler notices.
			_ = m.wait(ctx, f, f.delay)
		}
		if f := s.chance(Error); f != nil {
			m.touch(ctx, Error)
			fail(c, f.status)
			return
		}
		if s.chance(Drop) != nil {
			m.touch(ctx, Drop)
			drop(c)
		}
	}
}

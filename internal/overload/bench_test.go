package overload

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/sdk/metric"
)

// What a request costs that is admitted, beside one that no control looks at.
//
//	go test ./internal/overload -run '^$' -bench Admit -count 10 | benchstat -col /control -
func BenchmarkAdmit(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	options := Options{Concurrency: Concurrency{Adaptive: true}, Queue: 256, QueueWait: defaultQueueWait, RequestTimeout: defaultRequestTimeout}
	limited := options
	limited.Rate, limited.Burst, limited.ClientRate, limited.ClientBurst = 1e6, 1e6, 1e6, 1e6
	for _, bb := range []struct {
		name string
		o    *Options
	}{{"none", nil}, {"default", &options}, {"rates", &limited}} {
		b.Run("control="+bb.name, func(b *testing.B) {
			r := gin.New()
			if bb.o != nil {
				c, err := New(*bb.o, metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
				if err != nil {
					b.Fatal(err)
				}
				r.Use(c.Middleware(func(*gin.Context) Class { return Read }, nil, func(c *gin.Context, err error) { c.AbortWithStatus(503) }))
			}
			r.GET("/albums/:id", func(c *gin.Context) { c.Status(http.StatusOK) })
			req := httptest.NewRequest("GET", "/albums/1", nil)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := httptest.NewRecorder()
				for pb.Next() {
					r.ServeHTTP(w, req)
				}
			})
		})
	}
}

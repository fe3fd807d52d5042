// Unlimited is the album store in memory without overload control and faults, to
// measure what they cost.
package main

import (
	"context"
	"io"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/service"
	_ "soundcheck/store/db" // as large a program as the store
)

func main() {
	cli.Main("unlimited", func(ctx context.Context, args []string, _ func(string) string, stdout, _ io.Writer) error {
		c := &service.Common{Addr: args[0], MaxBody: albumhttp.DefaultMaxBody, FlushTimeout: time.Second}
		return service.Run(ctx, "album-store", c, stdout, func(t albumapi.Telemetry) (service.Backend, error) {
			return service.Backend{Service: album.Traced(album.NewMemory(album.Seed()...), t.TracerProvider)}, nil
		})
	})
}

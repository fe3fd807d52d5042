// Store is the album store: it keeps albums and serves them over HTTP.
//
//	go run ./store                       # on 127.0.0.1:9080, in memory
//	curl localhost:9080/albums/1
//	{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99}
package main

import (
	"context"
	"io"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/service"
)

func main() { cli.Main("store", run) }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := cli.NewFlags("store [flags]", "SOUNDCHECK_STORE", "Keeps albums and serves them over HTTP.")
	common := service.CommonFlags(f, "127.0.0.1:9080")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := common.Check(f); err != nil {
		return err
	}
	return service.Run(ctx, "album-store", common, stdout, func(t albumhttp.Telemetry) (album.Service, error) {
		return album.Traced(album.NewMemory(album.Seed()...), t.TracerProvider), nil
	})
}

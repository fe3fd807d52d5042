// Proxy serves the album store's API from an album store behind it. Every
// request becomes one trace through both services.
//
//	go run ./proxy                       # on 127.0.0.1:9070, store at http://127.0.0.1:9080
//	curl localhost:9070/albums/1
//	{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99}
package main

import (
	"context"
	"io"
	"time"

	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/service"
)

// maxStoreTimeout leaves time to answer before the server's own limit cuts the
// connection.
const maxStoreTimeout = 50 * time.Second

func main() { cli.Main("proxy", run) }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := cli.NewFlags("proxy [flags]", "SOUNDCHECK_PROXY", "Serves the album store's API from the album store behind it.")
	common := service.CommonFlags(f, "127.0.0.1:9070")
	store := f.String("store", "http://127.0.0.1:9080", "`URL` of the album store")
	timeout := f.Duration("store-timeout", 10*time.Second, "give up a call to the store after this `long`, and answer 504 (1ms to 50s)")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if *timeout < time.Millisecond || *timeout > maxStoreTimeout {
		return f.Errorf("-store-timeout %s is out of range: 1ms to 50s", *timeout)
	}
	if _, err := albumhttp.NewClient(*store, albumhttp.ClientOptions{}); err != nil {
		return f.Errorf("-store: %v", err)
	}
	if err := common.Check(f); err != nil {
		return err
	}
	return service.Run(ctx, "proxy-service", common, stdout, func(t albumhttp.Telemetry) (service.Backend, error) {
		client, err := albumhttp.NewClient(*store, albumhttp.ClientOptions{Timeout: *timeout, Telemetry: t})
		return service.Backend{Service: client, Proxy: true}, err
	})
}

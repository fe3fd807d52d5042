// Proxy serves the album store's API and forwards each request to a store. One trace
// follows a request through both services.
//
//	go run ./proxy                       # on 127.0.0.1:9070, store at http://127.0.0.1:9080
//	curl localhost:9070/albums/1
//	{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99}
package main

import (
	"context"
	"io"

	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli"
	"soundcheck/internal/fault"
	"soundcheck/internal/service"
	"soundcheck/internal/upstream"
)

func main() { cli.Main("proxy", run) }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := cli.NewFlags("proxy [flags]", "SOUNDCHECK_PROXY", "Serves the album store's API and forwards each request to a store.")
	common := service.CommonFlags(f, "127.0.0.1:9070", fault.Latency, fault.Error, fault.Drop, fault.NPlusOne)
	store := upstream.Flags(f, "store", "http://127.0.0.1:9080")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := store.Check(f, "store"); err != nil {
		return err
	}
	if err := common.Check(f); err != nil {
		return err
	}
	return service.Run(ctx, "proxy-service", common, stdout, func(t albumapi.Telemetry) (service.Backend, error) {
		client, err := albumapi.NewUpstreamClient(*store, t)
		if err != nil {
			return service.Backend{}, err
		}
		return service.Backend{Service: common.Faults.Client(client), Close: func(context.Context) error { return client.Close() }, Proxy: true}, nil
	})
}

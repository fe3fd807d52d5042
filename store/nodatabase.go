//go:build nodatabase

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli"
	"soundcheck/internal/service"
)

// The libraries of SQLite and PostgreSQL are most of the store's build. A native lab that keeps
// albums in memory is built without them.
var errNoDatabase = errors.New("this store was built without databases (-tags nodatabase) and has only memory; build it without the tag: go build ./store")

func checkURL(string) error { return errNoDatabase }

func open(context.Context, config, albumapi.Telemetry) (service.Backend, error) {
	return service.Backend{}, errNoDatabase
}

func migrate(context.Context, []string, func(string) string, io.Writer, io.Writer) error {
	return cli.WithCode(2, fmt.Errorf("migrate: %w", errNoDatabase))
}

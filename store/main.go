// Store is the album store: it stores albums and serves them over HTTP.
//
//	go run ./store                                   # on 127.0.0.1:9080, in memory
//	go run ./store -db sqlite:albums.db              # in a file
//	go run ./store -db postgres://me@localhost/shop  # in PostgreSQL, shared with other instances
//	go run ./store migrate status -db sqlite:albums.db
//
//	curl localhost:9080/albums/1
//	{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99,"genre":"Jazz","year":1958,"created_at":"…"}
//
// The store updates the schema of its database at startup (-migrate auto), or requires that
// "store migrate up" has (-migrate check). Of instances that start at the same time, one
// updates it.
package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli"
	"soundcheck/internal/fault"
	"soundcheck/internal/service"
)

func main() { cli.Main("store", run) }

type config struct {
	common    *service.Common
	db        string
	migrate   string
	maxAlbums int
	maxConns  int
	slowQuery time.Duration
}

func parse(args []string, getenv func(string) string, stdout io.Writer) (c config, err error) {
	f := cli.NewFlags("store [flags]\n       store migrate up|down|status|redo|wait [flags]", "SOUNDCHECK_STORE", "Stores albums and serves them over HTTP.")
	c.common = service.CommonFlags(f, "127.0.0.1:9080", fault.DBDelay, fault.Latency, fault.Error, fault.Stall, fault.Slots, fault.ConnLeak, fault.DBLock)
	f.StringVar(&c.db, "db", memory, "`database`: memory, sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	f.StringVar(&c.migrate, "migrate", "auto", "schema `mode` at startup: auto (update it), check (require the latest), off (no check)")
	f.IntVar(&c.maxAlbums, "max-albums", 10_000_000, "max `albums` with -db memory (3 to 1000000000)")
	f.IntVar(&c.maxConns, "max-conns", 16, "max database `connections`; PostgreSQL: half of them for reads (1 to 1000, PostgreSQL from 2)")
	f.DurationVar(&c.slowQuery, "slow-query", 200*time.Millisecond, "log SQL statements of at least this `duration` (0s to 1h; 0s: none)")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, err
	}
	switch {
	case !slices.Contains([]string{"auto", "check", "off"}, c.migrate):
		return c, f.Errorf("-migrate %q is not auto, check or off", c.migrate)
	case c.maxAlbums < 3 || c.maxAlbums > 1_000_000_000:
		return c, f.Errorf("-max-albums %d is out of range: 3 to 1000000000", c.maxAlbums)
	case c.maxConns < 1 || c.maxConns > 1000:
		return c, f.Errorf("-max-conns %d is out of range: 1 to 1000", c.maxConns)
	case c.maxConns < 2 && strings.HasPrefix(c.db, "postgres"):
		return c, f.Errorf("-max-conns %d is out of range: 2 to 1000 for PostgreSQL", c.maxConns)
	case c.slowQuery < 0 || c.slowQuery > time.Hour:
		return c, f.Errorf("-slow-query %s is out of range: 0s to 1h", c.slowQuery)
	}
	if err := checkDB(f, c.db); err != nil {
		return c, err
	}
	if err := c.common.Check(f); err != nil {
		return c, err
	}
	if err := c.common.Faults.Exclude(withoutDatabase(c.db)...); err != nil {
		return c, f.Errorf("-fault: %v", err)
	}
	return c, nil
}

// withoutDatabase returns the faults that a database cannot have.
func withoutDatabase(db string) []fault.Kind {
	switch {
	case db == memory:
		return []fault.Kind{fault.ConnLeak, fault.DBLock}
	case strings.HasPrefix(db, "postgres"):
		return []fault.Kind{fault.DBLock}
	}
	return nil
}

const memory = "memory"

func checkDB(f *cli.Flags, url string) error {
	if url == memory {
		return nil
	}
	if err := checkURL(url); err != nil {
		return f.Errorf("-db: %v", err)
	}
	return nil
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "migrate" {
		return migrate(ctx, args[1:], getenv, stdout, stderr)
	}
	c, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	return service.Run(ctx, "album-store", c.common, stdout, func(t albumapi.Telemetry) (service.Backend, error) {
		if c.db == memory {
			m := album.NewMemory(album.Seed()...)
			m.Max, m.TracerProvider = c.maxAlbums, t.TracerProvider
			if _, err := album.Observe(t.MeterProvider, m.Holdings); err != nil {
				return service.Backend{}, err
			}
			return service.Backend{Service: album.Traced(c.common.Faults.Service(m), t.TracerProvider), Close: m.Close}, nil
		}
		b, err := open(ctx, c, t)
		if err != nil {
			return service.Backend{}, err
		}
		b.Service = album.Traced(c.common.Faults.Service(b.Service), t.TracerProvider)
		return b, nil
	})
}

package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/sdk/log"
)

// patienceLimit is how long what is to be exported is held while no Collector
// listens: longer than one restarts.
const patienceLimit = 10 * time.Second

// patience tries an export again while nobody listens, as during a restart of the
// Collector. The exporters over HTTP try again only when somebody answers.
type patience struct {
	once sync.Once
	over chan struct{} // closed when the program ends: from then on nothing is waited for
}

func newPatience() *patience { return &patience{over: make(chan struct{})} }

func (p *patience) end() { p.once.Do(func() { close(p.over) }) }

func (p *patience) try(ctx context.Context, export func(context.Context) error) error {
	err := export(ctx)
	for begun, wait := time.Now(), 50*time.Millisecond; nobody(err) && time.Since(begun) < patienceLimit; wait = min(2*wait, time.Second) {
		select {
		case <-ctx.Done():
			return err
		case <-p.over:
			return err
		case <-time.After(wait):
		}
		err = export(ctx)
	}
	return err
}

// nobody reports whether there was no connection, or it was broken by who ended. A
// Collector in a container that restarts is nowhere for a while: neither its name nor its
// address is known.
func nobody(err error) bool {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		err != nil && strings.Contains(err.Error(), "server closed idle connection") // net/http does not export it
}

// patientLogs exports log records with patience.
type patientLogs struct {
	log.Exporter
	*patience
}

func (p patientLogs) Export(ctx context.Context, records []log.Record) error {
	return p.try(ctx, func(ctx context.Context) error { return p.Exporter.Export(ctx, records) })
}

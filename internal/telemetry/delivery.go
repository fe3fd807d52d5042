package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// patienceLimit is how long what is to be exported is held while no Collector
// listens: longer than one restarts.
const patienceLimit = 10 * time.Second

// patience tries an export again while the Collector is down, as during a restart of the
// Collector. The exporters over HTTP try again only when there is a response.
type patience struct {
	once sync.Once
	over chan struct{} // closed when the program ends: from then on nothing is waited for
}

func newPatience() *patience { return &patience{over: make(chan struct{})} }

func (p *patience) end() { p.once.Do(func() { close(p.over) }) }

func (p *patience) try(ctx context.Context, export func(context.Context) error) error {
	err := export(ctx)
	for begun, wait := time.Now(), 50*time.Millisecond; noConnection(err) && time.Since(begun) < patienceLimit; wait = min(2*wait, time.Second) {
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

// noConnection reports whether there was no connection, or it was broken by who ended. A
// Collector in a container that restarts is nowhere for a while: neither its name nor its
// address is known.
func noConnection(err error) bool {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		err != nil && strings.Contains(err.Error(), "server closed idle connection") // net/http does not export it
}

// What a delivery consists of, in the SDK's names.
const (
	spanItem   = "span"
	logItem    = "log"
	metricItem = "metric_data_point"
)

// delivery exports the batches of one exporter with patience, and counts each item once:
// when it has arrived or is lost. The exporters count each attempt, and nothing of a batch
// that they cannot encode, so that their counters are dropped: see views.
type delivery struct {
	*patience
	item      string
	component attribute.KeyValue
	exported  atomic.Pointer[metric.Int64Counter] // nil until there is a MeterProvider
}

func newDelivery(p *patience, item, component string) *delivery {
	return &delivery{patience: p, item: item, component: attribute.String("otel.component.type", component)}
}

// instrument creates the counter, whose name and attributes are of the semantic
// conventions of the SDK.
func (d *delivery) instrument(mp metric.MeterProvider) error {
	c, err := mp.Meter(scope).Int64Counter("otel.sdk.exporter."+d.item+".exported", metric.WithUnit("{"+d.item+"}"),
		metric.WithDescription("Items whose export is finished, by error.type if they are lost."))
	d.exported.Store(&c)
	return err
}

// deliver exports n items.
func (d *delivery) deliver(ctx context.Context, n int, export func(context.Context) error) error {
	err := d.try(ctx, export)
	lost := lostOf(n, err)
	if c := d.exported.Load(); c != nil {
		(*c).Add(ctx, int64(n-lost), metric.WithAttributeSet(attribute.NewSet(d.component)))
		if lost > 0 {
			(*c).Add(ctx, int64(lost), metric.WithAttributeSet(attribute.NewSet(d.component, attribute.String("error.type", reason(err)))))
		}
	}
	switch {
	case err == nil:
		return nil
	case lost == 0: // a partial success that rejects nothing: a warning of the receiver's (OTLP, "Partial success")
		otel.Handle(err)
		return nil
	}
	return &UndeliveredError{err}
}

// maxBytes is about how much is exported at once: a receiver over gRPC rejects more than
// 4 MiB by default, and long texts add up.
const maxBytes = 3 << 20

// deliverParts exports items in parts that a receiver takes.
func deliverParts[T any](ctx context.Context, d *delivery, items []T, size func(T) int, export func(context.Context, []T) error) error {
	var errs []error
	for begin := 0; begin < len(items); {
		end, bytes := begin, 0
		for end < len(items) && (end == begin || bytes+size(items[end]) <= maxBytes) {
			bytes += size(items[end])
			end++
		}
		part := items[begin:end]
		errs = append(errs, d.deliver(ctx, len(part), func(ctx context.Context) error { return export(ctx, part) }))
		begin = end
	}
	return errors.Join(errs...)
}

// UndeliveredError means that telemetry is lost.
type UndeliveredError struct{ Err error }

func (e *UndeliveredError) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// partial is the text of a partial success. The type is internal to each exporter.
var partial = regexp.MustCompile(`OTLP partial success: .*\((-?\d+) [a-z ]+ rejected\)`)

// lostOf returns how many of n items are lost for err.
func lostOf(n int, err error) int {
	if err == nil {
		return 0
	}
	if m := partial.FindStringSubmatch(err.Error()); m != nil {
		rejected, _ := strconv.Atoi(m[1])
		return min(max(rejected, 0), n)
	}
	return n
}

// reason is the error.type of what is lost: one of few words.
func reason(err error) string {
	switch {
	case partial.MatchString(err.Error()):
		return "rejected"
	case noConnection(err):
		return "connection"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "timeout"
	case strings.Contains(err.Error(), "invalid UTF-8"):
		return "invalid"
	}
	return "_OTHER"
}

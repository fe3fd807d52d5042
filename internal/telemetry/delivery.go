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

// retryLimit is how long an export is retried without a connection: longer than a restart of the
// Collector. It is longer in tests.
var retryLimit = 10 * time.Second

// retrier retries an export without a connection, as during a restart of the Collector. The HTTP
// exporters themselves retry only after a response.
type retrier struct {
	once sync.Once
	over chan struct{} // closed at shutdown: no more retries
}

func newRetrier() *retrier { return &retrier{over: make(chan struct{})} }

func (p *retrier) end() { p.once.Do(func() { close(p.over) }) }

func (p *retrier) retry(ctx context.Context, export func(context.Context) error) error {
	err := export(ctx)
	for begun, wait := time.Now(), 50*time.Millisecond; noConnection(err) && time.Since(begun) < retryLimit; wait = min(2*wait, time.Second) {
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

// noConnection reports whether a connection failed or was closed by the peer. While a Collector in
// a container restarts, its name does not resolve.
func noConnection(err error) bool {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		err != nil && strings.Contains(err.Error(), "server closed idle connection") // net/http does not export it
}

// Items of a delivery, by the SDK's names.
const (
	spanItem   = "span"
	logItem    = "log"
	metricItem = "metric_data_point"
)

// delivery exports the batches of one exporter with retries, and counts each item once: as exported
// or as lost. The exporters' own counters count each attempt, and do not count a batch that they
// cannot encode. They are dropped: see views.
type delivery struct {
	*retrier
	item      string
	component attribute.KeyValue
	exported  atomic.Pointer[metric.Int64Counter] // nil until there is a MeterProvider
}

func newDelivery(p *retrier, item, component string) *delivery {
	return &delivery{retrier: p, item: item, component: attribute.String("otel.component.type", component)}
}

// instrument creates the counter of the SDK's semantic conventions.
func (d *delivery) instrument(mp metric.MeterProvider) error {
	c, err := mp.Meter(scope).Int64Counter("otel.sdk.exporter."+d.item+".exported", metric.WithUnit("{"+d.item+"}"),
		metric.WithDescription("Exported items, and lost ones by error.type."))
	d.exported.Store(&c)
	return err
}

// deliver exports n items.
func (d *delivery) deliver(ctx context.Context, n int, export func(context.Context) error) error {
	err := d.retry(ctx, export)
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
	case lost == 0: // a partial success without rejected items is a warning (OTLP, "Partial success")
		otel.Handle(err)
		return nil
	}
	return &UndeliveredError{err}
}

// maxBytes is the approximate maximum of an export: a gRPC receiver rejects more than 4 MiB by
// default.
const maxBytes = 3 << 20

// deliverParts exports items in parts of maxBytes.
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

// UndeliveredError means that telemetry was lost.
type UndeliveredError struct{ Err error }

func (e *UndeliveredError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// partial is the text of a partial success. The type is internal to each exporter.
var partial = regexp.MustCompile(`OTLP partial success: .*\((-?\d+) [a-z ]+ rejected\)`)

// lostOf returns the number of n items that are lost because of err.
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

// reason is the error.type of lost items, with low cardinality.
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

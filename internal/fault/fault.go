// Package fault makes a service slow, failing or contended on purpose, so that one
// can see what that looks like from outside. All faults are off by default.
//
//	db-delay=20ms@10%   a share of the calls of the database takes this much longer, or all
//	latency=50ms@10%    a share of requests takes this much longer
//	error=500@1%        a share of requests is answered with this status
//	stall=10s           the service stands still for so long, from now, once
//	stall=10s@1m        it stands still for the last 10 s of every minute
//	slots=16            so many workers do all the work; the others wait, without end
//	drop=1%             the connection of a share of requests is cut, without an answer
//
// What is on is a metric, is logged, and stands in the spans that it touched as
// soundcheck.fault, so that nobody is fooled by one that was left on.
package fault

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Key is the attribute that names a fault.
const Key = attribute.Key("soundcheck.fault")

// Set is the faults of a service: those that it can have, and those that are on.
type Set struct {
	kinds []Kind
	log   *slog.Logger

	tracer   trace.Tracer
	injected metric.Int64Counter

	mu     sync.RWMutex
	active map[Kind]*fault
	rng    *rand.Rand
	seed   uint64
}

// New returns a Set in which no fault is on. The same seed chooses the same requests,
// if they come in the same order.
func New(seed uint64, kinds ...Kind) *Set {
	return &Set{kinds: kinds, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), active: map[Kind]*fault{}, log: slog.New(slog.DiscardHandler),
		tracer: tracenoop.NewTracerProvider().Tracer(""), injected: metricnoop.Int64Counter{}}
}

// Instrument makes the Set tell what it does, and what is on already. What is nil is
// not told. The metrics are
//
//	soundcheck.fault.active    {fault}    1 for each kind that is on, 0 for the others
//	soundcheck.fault.injected  {request}  by kind
func (s *Set) Instrument(tp trace.TracerProvider, mp metric.MeterProvider, log *slog.Logger) error {
	if log != nil {
		s.log = log
	}
	if tp != nil {
		s.tracer = tp.Tracer("soundcheck/internal/fault")
	}
	if mp == nil {
		return nil
	}
	m := mp.Meter("soundcheck/internal/fault")
	var err error
	if s.injected, err = m.Int64Counter("soundcheck.fault.injected", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that a fault affected.")); err != nil {
		return err
	}
	_, err = m.Int64ObservableGauge("soundcheck.fault.active", metric.WithUnit("{fault}"),
		metric.WithDescription("1 for each active fault, 0 for each other fault of the service."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for _, k := range s.kinds {
				n := int64(0)
				if s.get(k) != nil {
					n = 1
				}
				o.Observe(n, metric.WithAttributes(Key.String(string(k))))
			}
			return nil
		}))
	if len(s.List()) > 0 {
		s.announce(context.Background())
	}
	return err
}

// List returns the faults that are on, as they are written.
func (s *Set) List() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]string, 0, len(s.active))
	for _, f := range s.active {
		if f.on() {
			list = append(list, f.text)
		}
	}
	slices.Sort(list)
	return list
}

// Replace turns on the faults that specs say and no other. Each may be several,
// separated by commas. If one cannot be read nothing changes.
func (s *Set) Replace(ctx context.Context, specs ...string) error {
	next := map[Kind]*fault{}
	for _, spec := range specs {
		for part := range strings.SplitSeq(spec, ",") {
			f, err := parse(part)
			if err != nil {
				return err
			}
			if !slices.Contains(s.kinds, f.kind) {
				return fmt.Errorf("fault %q: this service supports %s", part, s.names())
			}
			if next[f.kind] != nil {
				return fmt.Errorf("fault %q: %s is a duplicate", part, f.kind)
			}
			next[f.kind] = f
		}
	}
	s.mu.Lock()
	old := s.active
	for k, f := range next {
		if was := old[k]; was != nil && was.on() && was.text == f.text {
			next[k] = was // it goes on, and who waits in it waits for the same
		}
	}
	s.active = next
	s.mu.Unlock()
	for k, f := range old {
		if next[k] != f {
			f.end()
		}
	}
	s.announce(ctx)
	return nil
}

func (s *Set) announce(ctx context.Context) {
	if list := s.List(); len(list) > 0 {
		s.log.WarnContext(ctx, "faults active", slog.Any("faults", list))
	} else {
		s.log.InfoContext(ctx, "no fault active")
	}
}

func (s *Set) names() string {
	names := make([]string, len(s.kinds))
	for i, k := range s.kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// get returns the fault of a kind, or nil if it is not on.
func (s *Set) get(k Kind) *fault {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f := s.active[k]; f != nil && f.on() {
		return f
	}
	return nil
}

// chance returns the fault of a kind if it is on and this request is among its share.
func (s *Set) chance(k Kind) *fault {
	f := s.get(k)
	if f == nil || f.share >= 1 {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rng.Float64() >= f.share {
		return nil
	}
	return f
}

// met is what a request has met so far in one span.
type met struct {
	*Set
	kinds []string
}

// touch notes that the request of ctx has met a fault.
func (m *met) touch(ctx context.Context, k Kind) {
	m.kinds = append(m.kinds, string(k))
	trace.SpanFromContext(ctx).SetAttributes(Key.String(strings.Join(m.kinds, ",")))
	m.injected.Add(ctx, 1, metric.WithAttributes(Key.String(string(k))))
}

// meet is touch, and begins the span of a wait.
func (m *met) meet(ctx context.Context, k Kind) trace.Span {
	m.touch(ctx, k)
	_, span := m.tracer.Start(ctx, "fault "+string(k), trace.WithAttributes(Key.String(string(k))))
	return span
}

// wait lasts for d, or until the fault is turned off. It returns ctx's error if that
// ends before.
func (m *met) wait(ctx context.Context, f *fault, d time.Duration) error {
	defer m.meet(ctx, f.kind).End()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-f.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

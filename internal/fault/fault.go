// Package fault injects faults into a service: delays, errors and contention. All faults are
// off by default.
//
//	db-delay=20ms@10%   delay a share of database calls
//	latency=50ms@10%    delay a share of requests
//	error=500@1%        respond to a share of requests with this status
//	stall=10s           block all database calls for 10 s, once
//	stall=10s@1m        block all database calls for the last 10 s of every minute
//	slots=16            max concurrency of database calls; further calls wait without a limit
//	drop=1%             close the connection of a share of requests without a response
//	conn-leak=1%        keep a connection for reads for good, at a share of database calls
//	db-lock=400ms@1s    hold SQLite's write lock for the last 400 ms of every second, while calls arrive
//	n-plus-one=100%     get each album of a list again, one by one, for a share of lists
//
// Active faults are logged, have a metric, and are the attribute soundcheck.fault of the spans
// that they affect. Exercises hide all of this.
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

	"soundcheck/internal/optional"
)

// Key is the attribute that names a fault.
const Key = attribute.Key("soundcheck.fault")

// Set is the faults of a service: supported and active ones.
type Set struct {
	kinds  []Kind
	log    *slog.Logger
	hidden bool

	tracer   trace.Tracer
	injected metric.Int64Counter

	mu     sync.RWMutex
	active map[Kind]*fault
	rng    *rand.Rand
	seed   uint64
}

// New returns a Set without active faults. The same seed selects the same requests if they
// arrive in the same order.
func New(seed uint64, kinds ...Kind) *Set {
	return &Set{kinds: kinds, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), active: map[Kind]*fault{}, log: optional.Logger(nil),
		tracer: optional.TracerProvider(nil).Tracer(""), injected: metricnoop.Int64Counter{}}
}

// Hide hides the faults from spans, metrics, the log and Admin, which then changes none. Call it
// before Instrument.
func (s *Set) Hide() { s.hidden = true }

// Exclude removes kinds that the service cannot inject as it is configured. It returns an error if
// one is active.
func (s *Set) Exclude(kinds ...Kind) error {
	for _, k := range kinds {
		if f := s.get(k); f != nil {
			return fmt.Errorf("fault %q: this database does not support it", f.text)
		}
	}
	s.kinds = slices.DeleteFunc(slices.Clone(s.kinds), func(k Kind) bool { return slices.Contains(kinds, k) })
	return nil
}

// Instrument sets the providers of the Set, and logs faults that are active already. A nil
// provider disables its signal. The metrics are
//
//	soundcheck.fault.active    {fault}    1 for each active kind, 0 for the others
//	soundcheck.fault.injected  {request}  by kind
func (s *Set) Instrument(tp trace.TracerProvider, mp metric.MeterProvider, log *slog.Logger) error {
	if s.hidden {
		return nil
	}
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

// List returns the active faults as they were set.
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

// Replace replaces the active faults. Each spec is one fault, or several separated by commas. An
// invalid one changes nothing.
func (s *Set) Replace(ctx context.Context, specs ...string) error {
	next := map[Kind]*fault{}
	for _, spec := range specs {
		for part := range strings.SplitSeq(spec, ",") {
			name, _, ok := strings.Cut(strings.TrimSpace(part), "=")
			if ok && !slices.Contains(s.kinds, Kind(name)) { // before its value: it may be of no kind
				return fmt.Errorf("fault %q: this service supports %s", part, s.names())
			}
			f, err := parse(part)
			if err != nil {
				return err
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
			next[k] = was // it continues, with its waiting requests
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

// get returns the active fault of a kind, or nil.
func (s *Set) get(k Kind) *fault {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f := s.active[k]; f != nil && f.on() {
		return f
	}
	return nil
}

// chance returns the active fault of a kind if it affects this request.
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

// met are the faults that have affected a span so far.
type met struct {
	*Set
	kinds []string
}

// touch records that a fault affects the request of ctx.
func (m *met) touch(ctx context.Context, k Kind) {
	m.kinds = append(m.kinds, string(k))
	if m.hidden {
		return
	}
	trace.SpanFromContext(ctx).SetAttributes(Key.String(strings.Join(m.kinds, ",")))
	m.injected.Add(ctx, 1, metric.WithAttributes(Key.String(string(k))))
}

// meet is touch, and starts the span of a wait.
func (m *met) meet(ctx context.Context, k Kind) trace.Span {
	m.touch(ctx, k)
	_, span := m.tracer.Start(ctx, "fault "+string(k), trace.WithAttributes(Key.String(string(k))))
	return span
}

// wait waits for d, or until the fault is turned off. If ctx ends before, it returns its error.
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

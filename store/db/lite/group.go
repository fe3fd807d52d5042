package lite

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxGroup is the maximum number of transactions of a group.
const maxGroup = 64

// Group runs transactions of SQLite that wait for the one connection that writes in one transaction:
// they share the disk's time for a COMMIT, most of what a small one takes. Each is a savepoint, so
// that one that fails leaves nothing behind and the others go on. None returns before the COMMIT.
// PostgreSQL does the same by itself.
type Group struct {
	Acquire   func(context.Context) (*sql.Conn, error)                    // returns the connection
	Wait      func(context.Context) (context.Context, context.CancelFunc) // limits the wait for it
	Limit     func(context.Context) (context.Context, context.CancelFunc) // limits a transaction
	MaxTime   time.Duration                                               // of a group: the first waits for the others
	Committed func()
	Tracer    trace.Tracer

	mu     sync.Mutex
	queue  []*write
	leader *write // runs the next group; nil if nothing waits
}

// write is one transaction.
type write struct {
	ctx     context.Context
	run     func(context.Context, *sql.Tx) error
	arrived time.Time
	ran     time.Time     // its statements ended
	alone   bool          // needs a group of its own
	lead    chan struct{} // its goroutine is to run the next group
	done    chan struct{} // err and panicked are set
	err     error
	// panicked is the value of a panic, for the goroutine of the caller.
	panicked any
}

// Waiting is the number of transactions that wait for a group.
func (g *Group) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

// Do runs f in a transaction and returns after its COMMIT. f can run more than once. Its context does
// not end with the caller's.
func (g *Group) Do(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	wait, stop := g.Wait(ctx)
	defer stop()
	w := &write{ctx: ctx, run: f, arrived: time.Now(), lead: make(chan struct{}, 1), done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	if g.leader == nil {
		g.pass()
	}
	g.mu.Unlock()
	left := wait.Done()
	for {
		select {
		case <-w.done:
			if w.panicked != nil {
				panic(w.panicked)
			}
			return w.err
		case <-w.lead:
			g.run(wait, w)
		case <-left:
			if g.leave(w) {
				return cmp.Or(ctx.Err(), context.Cause(wait))
			}
			left = nil // it runs
		}
	}
}

// pass makes the first of the queue the leader. The caller holds mu.
func (g *Group) pass() {
	g.leader = nil
	if len(g.queue) > 0 {
		g.leader = g.queue[0]
		g.leader.lead <- struct{}{}
	}
}

// leave removes a transaction, unless a group has taken it.
func (g *Group) leave(w *write) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, w)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	if g.leader == w {
		g.pass()
	}
	return true
}

// take returns the next transaction of a group that has n, or nil at its end.
func (g *Group) take(n int) *write {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 || n > 0 && g.queue[0].alone {
		return nil
	}
	w := g.queue[0]
	g.queue = slices.Delete(g.queue, 0, 1)
	return w
}

// again puts transactions back, each for a group of its own.
func (g *Group) again(ws []*write) {
	for _, w := range ws {
		w.alone = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = slices.Concat(ws, g.queue)
}

func (w *write) end(err error) {
	w.err = err
	close(w.done)
}

// run runs the transactions that wait, that of the leader first.
func (g *Group) run(wait context.Context, leader *write) {
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.pass()
	}()
	c, err := g.Acquire(wait)
	if err != nil {
		if g.leave(leader) {
			leader.end(err)
		}
		return
	}
	defer c.Close()
	// No caller that leaves may interrupt a statement: SQLite would roll back all of the group.
	ctx, cancel := g.Limit(WithoutSpans(context.WithoutCancel(leader.ctx)))
	defer cancel()
	begun := time.Now()
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		if g.leave(leader) {
			g.span(leader, "BEGIN", begun, time.Now(), 1, err)
			leader.end(err)
		}
		return
	}
	var in []*write
	for started := time.Now(); len(in) < maxGroup && (len(in) == 0 || time.Since(started) < g.MaxTime); {
		w := g.take(len(in))
		if w == nil {
			break
		}
		if err := w.ctx.Err(); err != nil {
			w.end(err)
			continue
		}
		if w.arrived.Before(begun) {
			w.arrived = begun
		}
		g.span(w, "BEGIN", w.arrived, time.Now(), 1, nil)
		if err := g.step(ctx, tx, w, len(in) > 0); err != nil {
			// The transaction is gone, with those before this one.
			if w.err == nil && len(in) > 0 {
				in = append(in, w)
			} else {
				w.end(cmp.Or(w.err, err))
			}
			g.again(in)
			return
		}
		if w.err == nil {
			w.ran = time.Now()
			in = append(in, w)
		} else {
			w.end(w.err)
		}
		if w.alone {
			break
		}
	}
	if len(in) == 0 {
		_ = tx.Rollback()
		return
	}
	if err = tx.Commit(); err == nil {
		g.Committed()
	}
	now := time.Now()
	for _, w := range in {
		g.span(w, "COMMIT", w.ran, now, len(in), err)
		w.end(err)
	}
}

// step runs a transaction in the group's, and sets its error. The returned error is that of a group
// that has been rolled back.
func (g *Group) step(ctx context.Context, tx *sql.Tx, w *write, savepoint bool) error {
	do := func(statements ...string) error {
		for _, text := range statements {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				_ = tx.Rollback()
				return err
			}
		}
		return nil
	}
	if savepoint {
		if err := do("SAVEPOINT write"); err != nil {
			return err
		}
	}
	w.err = g.call(w, tx)
	if w.err == nil {
		if savepoint {
			return do("RELEASE write")
		}
		return nil
	}
	begun := time.Now()
	defer func() { g.span(w, "ROLLBACK", begun, time.Now(), 1, nil) }()
	if savepoint {
		return do("ROLLBACK TO write", "RELEASE write")
	}
	_ = tx.Rollback()
	return errRolledBack
}

// errRolledBack ends a group whose first transaction failed: there is nothing else in it.
var errRolledBack = errors.New("transaction rolled back")

func (g *Group) call(w *write, tx *sql.Tx) (err error) {
	ctx, cancel := g.Limit(context.WithoutCancel(w.ctx))
	defer cancel()
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			err = errors.New("panic")
		}
	}()
	return w.run(ctx, tx)
}

// span records what a transaction waited for as a span of its trace: otelsql's would be in that of
// the leader alone. The time of BEGIN ends at its first statement, and that of COMMIT begins after its
// last one.
func (g *Group) span(w *write, name string, from, to time.Time, size int, err error) {
	if !WantSpan(w.ctx, "", "", nil) {
		return
	}
	attributes := []attribute.KeyValue{attribute.String("db.system.name", "sqlite")}
	if size > 1 {
		attributes = append(attributes, attribute.Int("db.operation.batch.size", size))
	}
	_, span := g.Tracer.Start(w.ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(from), trace.WithAttributes(attributes...))
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End(trace.WithTimestamp(to))
}

type noSpansKey struct{}

// WithoutSpans returns a context whose statements have no spans.
func WithoutSpans(ctx context.Context) context.Context {
	return context.WithValue(ctx, noSpansKey{}, true)
}

// WantSpan skips statements without a request, such as the queue's polling, and those of WithoutSpans.
func WantSpan(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
	return trace.SpanContextFromContext(ctx).IsValid() && ctx.Value(noSpansKey{}) == nil
}

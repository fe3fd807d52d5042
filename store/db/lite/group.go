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
	leader *write // runs a group; nil: none does
}

// write is one transaction.
type write struct {
	ctx     context.Context
	run     func(context.Context, *sql.Tx) error
	arrived time.Time
	ran     time.Time     // its statements ended
	single  bool          // needs a group of its own
	lead    chan struct{} // its goroutine is to run a group
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

type aloneKey struct{}

// Alone returns a context whose transactions share no COMMIT, if yes: until its end, a savepoint keeps in memory a copy
// of each page that it changes. Those of 10,000 albums are about 100 MB.
func Alone(ctx context.Context, yes bool) context.Context {
	return context.WithValue(ctx, aloneKey{}, yes)
}

// Do runs f in a transaction and returns after its COMMIT. f can run more than once. Its context does
// not end with the caller's.
func (g *Group) Do(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	wait, stop := g.Wait(ctx)
	defer stop()
	alone, _ := ctx.Value(aloneKey{}).(bool)
	w := &write{ctx: ctx, run: f, arrived: time.Now(), single: alone, lead: make(chan struct{}, 1), done: make(chan struct{})}
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

// pass makes the first of the queue the leader, whose goroutine runs the next group. The caller holds mu.
func (g *Group) pass() {
	g.leader = nil
	if len(g.queue) > 0 {
		g.leader = g.pop()
		g.leader.lead <- struct{}{}
	}
}

func (g *Group) pop() *write {
	w := g.queue[0]
	g.queue = slices.Delete(g.queue, 0, 1)
	return w
}

// leave removes a transaction, unless a group has taken it.
func (g *Group) leave(w *write) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leader == w { // and has not begun
		g.pass()
		return true
	}
	i := slices.Index(g.queue, w)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// take returns the next transaction of a group, or nil at its end.
func (g *Group) take() *write {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 || g.queue[0].single {
		return nil
	}
	return g.pop()
}

// retry puts transactions back, each for a group of its own.
func (g *Group) retry(ws []*write) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range ws {
		w.single = true
	}
	g.queue = slices.Concat(ws, g.queue)
}

// end makes Do return err, or the transaction's own error.
func (w *write) end(err error) {
	w.err = cmp.Or(err, w.err)
	close(w.done)
}

var errPanic = errors.New("panic in a transaction")

// run runs a group: the leader's transaction, and those that wait.
func (g *Group) run(wait context.Context, leader *write) {
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.pass()
	}()
	c, err := g.Acquire(wait)
	if err != nil {
		leader.end(err)
		return
	}
	defer c.Close()
	// A caller that leaves may end the wait for the lock, but interrupt no statement: SQLite would
	// roll back all of the group.
	ctx, cancel := g.Limit(WithoutSpans(context.WithoutCancel(leader.ctx)))
	defer cancel()
	stop := context.AfterFunc(leader.ctx, cancel)
	begun := time.Now()
	tx, err := c.BeginTx(ctx, nil)
	if !stop() {
		err = leader.ctx.Err() // database/sql rolls back
	}
	if err != nil {
		g.span(leader, "BEGIN", begun, time.Now(), 1, err)
		leader.end(err)
		return
	}
	var members []*write
	err = errPanic
	defer func() {
		for _, w := range members {
			w.end(err)
		}
	}()
	defer func() { _ = tx.Rollback() }() // unless it has ended
	committed := 0
	started := time.Now()
	for w := leader; w != nil; w = g.take() {
		if err := w.ctx.Err(); err != nil {
			w.end(err)
			continue
		}
		if w.arrived.Before(begun) {
			w.arrived = begun
		}
		w.ran = time.Now()
		g.span(w, "BEGIN", w.arrived, w.ran, 1, nil)
		members = append(members, w)
		if !g.step(ctx, tx, w, len(members) > 1) {
			_ = tx.Rollback()
			for _, w := range members {
				g.span(w, "ROLLBACK", w.ran, time.Now(), len(members), nil)
			}
			if len(members) > 1 {
				g.retry(members)
				members = nil
			}
			err = nil // but its own
			return
		}
		if w.err == nil {
			committed++
		}
		if w.single || len(members) == maxGroup || time.Since(started) >= g.MaxTime {
			break
		}
	}
	if len(members) == 0 {
		return
	}
	if err = tx.Commit(); err == nil {
		g.Committed()
	}
	now := time.Now()
	for _, w := range members {
		if w.err == nil {
			g.span(w, "COMMIT", w.ran, now, committed, err)
		} else {
			g.span(w, "ROLLBACK", w.ran, now, 1, nil)
		}
	}
}

// step runs a transaction in the group's, and sets its error. One that fails may have read what the
// others have written: it stays in the group, and returns after their COMMIT. If step returns false,
// all of the group has to be rolled back.
func (g *Group) step(ctx context.Context, tx *sql.Tx, w *write, savepoint bool) bool {
	do := func(text string) bool {
		_, err := tx.ExecContext(ctx, text)
		return err == nil
	}
	if savepoint && !do("SAVEPOINT write") {
		return false
	}
	w.err = g.call(w, tx)
	w.ran = time.Now()
	if !savepoint {
		return w.err == nil
	}
	return (w.err == nil || do("ROLLBACK TO write")) && do("RELEASE write")
}

func (g *Group) call(w *write, tx *sql.Tx) (err error) {
	ctx, cancel := g.Limit(context.WithoutCancel(w.ctx))
	defer cancel()
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			err = errPanic
		}
	}()
	return w.run(ctx, tx)
}

// span records what a transaction waited for as a span of its trace: otelsql's would be in that of
// the leader alone. The time of BEGIN ends at its first statement, and that of COMMIT or ROLLBACK
// begins after its last one.
func (g *Group) span(w *write, name string, from, to time.Time, size int, err error) {
	if !WantSpan(w.ctx, "", "", nil) {
		return
	}
	attributes := []attribute.KeyValue{attribute.String("db.system.name", "sqlite")}
	if size > 1 {
		attributes = append(attributes, attribute.Int("db.operation.batch.size", size))
	}
	_, span := g.Tracer.Start(w.ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(from), trace.WithAttributes(attributes...))
	if err != nil && !errors.Is(err, context.Canceled) {
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

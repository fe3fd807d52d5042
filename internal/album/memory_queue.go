package album

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
)

// Bounds of a Memory's operations. One that is queued holds its albums.
const (
	maxQueued   = 1000
	maxFinished = 10000
	workers     = 4
)

// memoryQueue holds a Memory's operations. Its workers end when there is nothing
// left to do.
type memoryQueue struct {
	opsMu    sync.Mutex
	ops      map[string]*Operation
	finished []string // in order
	waiting  []queued
	working  int
	idle     sync.WaitGroup
}

type queued struct {
	*Operation
	write   Write
	request trace.SpanContext
}

// Submit implements Service.
func (m *Memory) Submit(ctx context.Context, w Write) (Operation, bool, error) {
	if err := ctx.Err(); err != nil {
		return Operation{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok, err := m.answered(w, true); ok || err != nil {
		if err != nil {
			return Operation{}, ok, err
		}
		op, err := m.Operation(ctx, old.operation)
		return op, true, err
	}
	if m.noRoom(w) {
		return Operation{}, false, ErrFull
	}
	op, err := m.enqueue(w, trace.SpanContextFromContext(ctx))
	if err == nil {
		m.remember(w, true, answer{operation: op.ID})
	}
	return op, false, err
}

// Operation implements Service.
func (m *Memory) Operation(_ context.Context, id string) (Operation, error) {
	m.opsMu.Lock()
	defer m.opsMu.Unlock()
	op, ok := m.ops[id]
	if !ok {
		return Operation{}, ErrNoOperation
	}
	return *op, nil
}

// Close waits until every operation has ended.
func (m *Memory) Close() error {
	m.idle.Wait()
	return nil
}

func (m *Memory) enqueue(w Write, request trace.SpanContext) (Operation, error) {
	m.opsMu.Lock()
	defer m.opsMu.Unlock()
	if len(m.waiting) >= maxQueued {
		return Operation{}, ErrNotReady
	}
	op := &Operation{ID: uuid.NewString(), Status: Queued, CreatedAt: Now()}
	if request.HasTraceID() {
		op.TraceID = request.TraceID().String()
	}
	if m.ops == nil {
		m.ops = map[string]*Operation{}
	}
	m.ops[op.ID] = op
	m.waiting = append(m.waiting, queued{op, w, request})
	if m.working < workers {
		m.working++
		m.idle.Go(m.work)
	}
	return *op, nil
}

// work does what is queued until nothing is.
func (m *Memory) work() {
	m.opsMu.Lock()
	defer m.opsMu.Unlock()
	for len(m.waiting) > 0 {
		q := m.waiting[0]
		m.waiting = m.waiting[1:]
		q.Status, q.StartedAt = Running, Now()
		m.opsMu.Unlock()
		ids, err := m.do(q)
		m.opsMu.Lock()
		q.Status, q.FinishedAt, q.IDs, q.Err = Succeeded, Now(), ids, err
		if err != nil {
			q.Status = Failed
		}
		m.finish(q.ID)
	}
	m.working--
}

func (m *Memory) do(q queued) ([]int64, error) {
	_, span := StartOperation(context.Background(), m.TracerProvider, q.ID, q.request)
	m.mu.Lock()
	albums, err := m.create(q.write)
	m.mu.Unlock()
	return IDs(albums), end(span, err)
}

// finish remembers an operation that ended, and forgets those that ended long ago.
func (m *Memory) finish(id string) {
	m.finished = append(m.finished, id)
	for len(m.finished) > maxFinished || time.Since(m.ops[m.finished[0]].FinishedAt) > KeyLifetime {
		delete(m.ops, m.finished[0])
		m.finished = m.finished[1:]
	}
}

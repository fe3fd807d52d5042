package album

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
)

// Limits of a Memory's operations, in albums: a queued one holds albums, a finished one their
// ids.
const (
	maxQueued   = 10 * MaxBatch
	maxFinished = 200_000
	workers     = 4
)

// memoryQueue holds a Memory's operations. Its workers end when the queue is empty.
type memoryQueue struct {
	opsMu    sync.Mutex
	ops      map[string]*Operation
	finished []*Operation // in order
	kept     int          // albums of the finished
	waiting  []queued
	queued   int           // albums of the waiting
	working  int           // workers
	idle     chan struct{} // closed when working is 0 again
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
	if old, ok, err := m.replay(w, true); ok || err != nil {
		if err != nil {
			return Operation{}, ok, err
		}
		m.opsMu.Lock()
		defer m.opsMu.Unlock()
		return *old.operation, true, nil
	}
	if m.keysFull(w) {
		return Operation{}, false, ErrFull
	}
	op, err := m.enqueue(w, trace.SpanContextFromContext(ctx))
	if err == nil {
		m.remember(w, true, storedResult{operation: op})
		m.opsMu.Lock()
		defer m.opsMu.Unlock()
		return *op, false, nil
	}
	return Operation{}, false, err
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

// Close waits until every operation has finished or ctx has ended. Unfinished ones are lost.
func (m *Memory) Close(ctx context.Context) error {
	for {
		m.opsMu.Lock()
		unfinished, idle := len(m.ops)-len(m.finished), m.idle
		m.opsMu.Unlock()
		switch {
		case unfinished == 0:
			return nil // even if ctx has ended
		case ctx.Err() != nil:
			return fmt.Errorf("%d operations unfinished: %w", unfinished, ctx.Err())
		}
		select {
		case <-idle:
		case <-ctx.Done(): // count again: they may have finished meanwhile
		}
	}
}

func (m *Memory) enqueue(w Write, request trace.SpanContext) (*Operation, error) {
	m.opsMu.Lock()
	defer m.opsMu.Unlock()
	if m.queued+len(w.Albums) > maxQueued {
		return nil, ErrNotReady
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
	m.queued += len(w.Albums)
	if m.working == 0 {
		m.idle = make(chan struct{})
	}
	if m.working < workers {
		m.working++
		go m.work()
	}
	return op, nil
}

// work runs operations until the queue is empty.
func (m *Memory) work() {
	m.opsMu.Lock()
	defer m.opsMu.Unlock()
	for len(m.waiting) > 0 {
		q := m.waiting[0]
		m.waiting[0] = queued{} // it holds albums
		m.waiting = m.waiting[1:]
		m.queued -= len(q.write.Albums)
		q.Status, q.StartedAt = Running, Now()
		m.opsMu.Unlock()
		ids, err := m.do(q)
		m.opsMu.Lock()
		q.Status, q.FinishedAt, q.IDs, q.Err = Succeeded, Now(), ids, err
		if err != nil {
			q.Status = Failed
		}
		m.finish(q.Operation)
	}
	if m.working--; m.working == 0 {
		close(m.idle)
	}
}

func (m *Memory) do(q queued) ([]int64, error) {
	_, span := StartOperation(context.Background(), m.TracerProvider, q.ID, q.request)
	m.mu.Lock()
	albums, err := m.create(q.write)
	m.mu.Unlock()
	return IDs(albums), end(span, err)
}

// finish retains a finished operation, and deletes expired and excess ones. The result of a key
// retains its own operation.
func (m *Memory) finish(op *Operation) {
	m.finished = append(m.finished, op)
	m.kept += 1 + len(op.IDs)
	for m.kept > maxFinished || time.Since(m.finished[0].FinishedAt) > KeyLifetime {
		oldest := m.finished[0]
		delete(m.ops, oldest.ID)
		m.kept -= 1 + len(oldest.IDs)
		m.finished[0] = nil
		m.finished = m.finished[1:]
	}
}

// Holdings returns m's gauges; its size is unknown.
func (m *Memory) Holdings(context.Context) (Holdings, error) {
	m.opsMu.Lock()
	defer m.opsMu.Unlock()
	return Holdings{Queued: int64(len(m.waiting)), Running: int64(len(m.ops) - len(m.finished) - len(m.waiting)), Bytes: -1}, nil
}

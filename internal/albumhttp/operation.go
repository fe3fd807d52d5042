package albumhttp

import (
	"time"

	"soundcheck/internal/album"
)

// operation is an album.Operation on the wire.
type operation struct {
	ID         string       `json:"id"`
	Status     album.Status `json:"status"`
	CreatedAt  time.Time    `json:"created_at"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
	TraceID    string       `json:"trace_id,omitempty"`
	Result     *result      `json:"result,omitempty"`
	Problem    *Problem     `json:"problem,omitempty"`
}

// result is what a batch or an operation created.
type result struct {
	Count int     `json:"count"`
	IDs   []int64 `json:"ids"`
}

func batchResult(ids []int64) *result { return &result{len(ids), ids} }

func newOperation(op album.Operation) operation {
	o := operation{ID: op.ID, Status: op.Status, CreatedAt: op.CreatedAt, StartedAt: op.StartedAt,
		FinishedAt: op.FinishedAt, TraceID: op.TraceID}
	switch op.Status {
	case album.Succeeded:
		o.Result = batchResult(op.IDs)
	case album.Failed:
		p := problemFor(op.Err)
		p.TraceID = op.TraceID
		o.Problem = &p
	}
	return o
}

// album is the inverse of newOperation.
func (o operation) album() album.Operation {
	op := album.Operation{ID: o.ID, Status: o.Status, CreatedAt: o.CreatedAt, StartedAt: o.StartedAt,
		FinishedAt: o.FinishedAt, TraceID: o.TraceID}
	if o.Result != nil {
		op.IDs = o.Result.IDs
	}
	if o.Problem != nil {
		op.Err = errorFor(*o.Problem)
	}
	return op
}

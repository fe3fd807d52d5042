package albumapi

import (
	"time"

	"soundcheck/internal/album"
)

// Operation is an album.Operation on the wire.
type Operation struct {
	ID         string       `json:"id"`
	Status     album.Status `json:"status"`
	CreatedAt  time.Time    `json:"created_at"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
	TraceID    string       `json:"trace_id,omitempty"`
	Result     *Result      `json:"result,omitempty"`
	Problem    *Problem     `json:"problem,omitempty"`
}

// Result is what a batch or an operation created.
type Result struct {
	Count int     `json:"count"`
	IDs   []int64 `json:"ids"`
}

// NewResult returns the Result of the albums with these ids.
func NewResult(ids []int64) *Result { return &Result{len(ids), ids} }

// NewOperation returns op as it is on the wire.
func NewOperation(op album.Operation) Operation {
	o := Operation{ID: op.ID, Status: op.Status, CreatedAt: op.CreatedAt, StartedAt: op.StartedAt,
		FinishedAt: op.FinishedAt, TraceID: op.TraceID}
	switch op.Status {
	case album.Succeeded:
		o.Result = NewResult(op.IDs)
	case album.Failed:
		p := ProblemFor(op.Err)
		p.TraceID = op.TraceID
		o.Problem = &p
	}
	return o
}

// album is the inverse of NewOperation.
func (o Operation) album() album.Operation {
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

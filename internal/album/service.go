package album

import (
	"context"
	"iter"
	"time"
)

// Limits of a Service.
const (
	DefaultLimit = 100   // albums on a page
	MaxLimit     = 1000  // albums on a page
	MaxBatch     = 10000 // albums in a Write
	MaxKey       = 255   // characters of an idempotency key
	// KeyLifetime is how long an idempotency key and a finished operation are
	// remembered.
	KeyLifetime = 24 * time.Hour
)

// Filter selects albums by exact match; an empty field matches every album.
type Filter struct {
	Artist string
	Genre  string
}

func (f Filter) matches(a Album) bool {
	return (f.Artist == "" || f.Artist == a.Artist) && (f.Genre == "" || f.Genre == a.Genre)
}

// Query selects one page of albums, in id order.
type Query struct {
	Filter
	Limit int   // albums at most, 1 to MaxLimit
	After int64 // only albums with a greater id; 0 starts at the first
}

// Page is the answer to a Query.
type Page struct {
	Albums []Album
	Next   int64 // the After of the following page; 0 if this is the last
}

// Write asks for albums to be created, all or none of them.
type Write struct {
	Albums []Album // valid, 1 to MaxBatch, no id twice
	Batch  bool    // came as a batch: one that has a single album is another request than that album alone
	// Key, if not empty, makes the write happen once: the same Write with the
	// same key is answered again like the first.
	Key string
}

// Created is the answer to a Write.
type Created struct {
	Albums   []Album // with their ids, in the order of the Write
	Replayed bool    // this was the answer to an earlier Write with the same key
}

// Service keeps albums. The store implements it with a database, albumhttp.Client
// with a store behind HTTP. Implementations are safe for concurrent use.
type Service interface {
	// List returns one page of albums in id order.
	List(ctx context.Context, q Query) (Page, error)
	// Stream yields all albums that match in id order, or an error as the last.
	// An album that is there from beginning to end is yielded once.
	Stream(ctx context.Context, f Filter) iter.Seq2[Album, error]
	// Get returns the album with this id, or ErrNotFound.
	Get(ctx context.Context, id int64) (Album, error)
	// Put keeps a, which must be valid and have an id, in the place of the album
	// with its id, or as a new one.
	Put(ctx context.Context, a Album) (_ Album, created bool, err error)
	// Delete removes the album with this id, or answers ErrNotFound.
	Delete(ctx context.Context, id int64) error
	// Create keeps new albums. It answers ErrExists if an id is taken, and
	// ErrKeyReused or ErrKeyRunning about the key.
	Create(ctx context.Context, w Write) (Created, error)
	// Submit has albums created later, and returns the operation that does it.
	// The answer is replayed if the key was used with this Write before.
	Submit(ctx context.Context, w Write) (_ Operation, replayed bool, err error)
	// Operation returns the operation with this id, or ErrNoOperation.
	Operation(ctx context.Context, id string) (Operation, error)
}

// Status is how far an operation is.
type Status string

// An operation that is accepted is queued, then running, and ends in one of the
// other two.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
)

// Operation is a Write that is done after its request was answered.
type Operation struct {
	ID         string
	Status     Status
	CreatedAt  time.Time
	StartedAt  time.Time // zero: not yet
	FinishedAt time.Time // zero: not yet
	TraceID    string    // of the request that submitted it; empty if there was no trace
	IDs        []int64   // of the created albums, once succeeded
	Err        error     // why it failed
}

// Now is the time as every store keeps it: in UTC, to the microsecond.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

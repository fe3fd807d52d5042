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
	// KeyLifetime is the retention of idempotency keys and finished operations.
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
	Limit int   // max albums, 1 to MaxLimit
	After int64 // only albums with a greater id; 0: from the first
}

// Page is the result of a Query.
type Page struct {
	Albums []Album
	Next   int64 // the After of the following page; 0 if this is the last
}

// Write creates albums, all or none of them.
type Write struct {
	Albums []Album // valid, 1 to MaxBatch, without duplicate ids
	Batch  bool    // a batch of one album differs from that album alone
	// Key, if not empty, makes the Write idempotent: a repeated Write with the same key
	// returns the first result.
	Key string
}

// Created is the result of a Write.
type Created struct {
	Albums   []Album // with their ids, in the order of the Write
	Replayed bool    // the result of an earlier Write with the same key
}

// Service stores albums. The store implements it with a database, albumapi.Client with calls to
// a store. Implementations are safe for concurrent use.
type Service interface {
	// List returns one page of albums in id order.
	List(ctx context.Context, q Query) (Page, error)
	// Stream yields all matching albums in id order, and an error last. An album that exists
	// during the whole stream is yielded once.
	Stream(ctx context.Context, f Filter) iter.Seq2[Album, error]
	// Get returns the album with this id, or ErrNotFound.
	Get(ctx context.Context, id int64) (Album, error)
	// Put creates or replaces the album with a's id. a must be valid and have an id.
	Put(ctx context.Context, a Album) (_ Album, created bool, err error)
	// Delete deletes the album with this id, or returns ErrNotFound.
	Delete(ctx context.Context, id int64) error
	// Create creates albums. It returns ErrExists if an id is taken, and ErrKeyReused or
	// ErrKeyRunning about the key.
	Create(ctx context.Context, w Write) (Created, error)
	// Submit queues an operation that creates the albums. The result is replayed if the key
	// was used with this Write before.
	Submit(ctx context.Context, w Write) (_ Operation, replayed bool, err error)
	// Operation returns the operation with this id, or ErrNoOperation.
	Operation(ctx context.Context, id string) (Operation, error)
}

// Status is the state of an operation.
type Status string

// An accepted operation is queued, then running, and then succeeded or failed.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
)

// Operation is an asynchronous Write.
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

// Now is the current time at the stores' precision: UTC, microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

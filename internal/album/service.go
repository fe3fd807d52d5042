package album

import "context"

// Page sizes of List.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Query selects one page of albums, in id order.
type Query struct {
	Limit int   // albums at most, 1 to MaxLimit
	After int64 // only albums with a greater id; 0 starts at the first
}

// Page is the answer to a Query.
type Page struct {
	Albums []Album
	Next   int64 // the After of the following page; 0 if this is the last
}

// Service keeps albums. The store implements it with a database, albumhttp.Client
// with a store behind HTTP. Implementations are safe for concurrent use.
type Service interface {
	// List returns one page of albums in id order.
	List(ctx context.Context, q Query) (Page, error)
	// Get returns the album with this id, or ErrNotFound.
	Get(ctx context.Context, id int64) (Album, error)
	// Create keeps a, which must be valid, and returns it with its id. It
	// answers ErrExists if a.ID is taken.
	Create(ctx context.Context, a Album) (Album, error)
}

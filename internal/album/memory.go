package album

import (
	"context"
	"sync"

	"github.com/tidwall/btree"
)

// Memory is a Service that keeps albums in memory, in id order.
type Memory struct {
	mu     sync.RWMutex
	albums btree.Map[int64, Album]
	next   int64 // no smaller id has been assigned twice: the next one to try
}

var _ Service = (*Memory)(nil)

// NewMemory returns a Memory that holds albums, which must have different ids.
func NewMemory(albums ...Album) *Memory {
	m := &Memory{next: 1}
	for _, a := range albums {
		m.albums.Set(a.ID, a)
	}
	return m
}

// List implements Service.
func (m *Memory) List(ctx context.Context, q Query) (Page, error) {
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	p := Page{Albums: make([]Album, 0, min(q.Limit, m.albums.Len()))}
	m.albums.Ascend(q.After, func(id int64, a Album) bool {
		if id == q.After { // the pivot itself was on the page before
			return true
		}
		if len(p.Albums) == q.Limit {
			p.Next = p.Albums[q.Limit-1].ID
			return false
		}
		p.Albums = append(p.Albums, a)
		return true
	})
	return p, nil
}

// Get implements Service.
func (m *Memory) Get(ctx context.Context, id int64) (Album, error) {
	if err := ctx.Err(); err != nil {
		return Album{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	a, ok := m.albums.Get(id)
	if !ok {
		return Album{}, ErrNotFound
	}
	return a, nil
}

// Create implements Service. Ids are assigned upwards from 1, past those that
// callers chose, so that a caller who takes the largest id blocks nobody.
func (m *Memory) Create(ctx context.Context, a Album) (Album, error) {
	if err := ctx.Err(); err != nil {
		return Album{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.ID == 0 {
		for m.taken(m.next) {
			m.next++
		}
		a.ID = m.next
		m.next++
	} else if m.taken(a.ID) {
		return Album{}, ErrExists
	}
	m.albums.Set(a.ID, a)
	return a, nil
}

func (m *Memory) taken(id int64) bool {
	_, ok := m.albums.Get(id)
	return ok
}

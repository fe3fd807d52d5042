package album

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/btree"
	"go.opentelemetry.io/otel/trace"
)

// Memory is a Service that stores albums in memory, in id order. It runs operations in goroutines
// that end when the queue is empty; see Close.
type Memory struct {
	Max            int                  // max albums, 0: no limit; set it before use
	TracerProvider trace.TracerProvider // for the spans of operations; set it before use

	mu       sync.RWMutex
	albums   btree.Map[int64, Album]
	byArtist index
	byGenre  index
	next     int64 // the next id to assign, unless it is taken
	answers  map[string]storedResult
	keys     []string // of stored results, the oldest first
	keptIDs  int      // in stored results
	memoryQueue
}

// storedResult is the result of a Write with a key.
type storedResult struct {
	fingerprint []byte
	at          time.Time
	ids         []int64
	createdAt   time.Time
	operation   *Operation // instead of ids
	err         error
}

// created returns the result of w again.
func (a storedResult) created(w Write) []Album {
	if len(a.ids) == 0 {
		return nil
	}
	albums := slices.Clone(w.Albums)
	for i := range albums {
		albums[i].ID, albums[i].CreatedAt = a.ids[i], a.createdAt
	}
	return albums
}

// index holds the ids of the albums with the same text, in order.
type index map[string]*btree.Set[int64]

func (x index) add(text string, id int64) {
	if x[text] == nil {
		x[text] = new(btree.Set[int64])
	}
	x[text].Insert(id)
}

func (x index) remove(text string, id int64) {
	x[text].Delete(id)
	if x[text].Len() == 0 {
		delete(x, text)
	}
}

var _ Service = (*Memory)(nil)

// NewMemory returns a Memory that holds albums, which must have different ids.
func NewMemory(albums ...Album) *Memory {
	m := &Memory{next: 1, byArtist: index{}, byGenre: index{}, answers: map[string]storedResult{}}
	for _, a := range albums {
		m.set(a)
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
	each := func(a Album) bool {
		if a.ID == q.After || !q.matches(a) { // the pivot was on the previous page
			return true
		}
		if len(p.Albums) == q.Limit {
			p.Next = p.Albums[q.Limit-1].ID
			return false
		}
		p.Albums = append(p.Albums, a)
		return true
	}
	byID := func(id int64) bool {
		a, _ := m.albums.Get(id)
		return each(a)
	}
	switch {
	case q.Artist != "":
		ascend(m.byArtist[q.Artist], q.After, byID)
	case q.Genre != "":
		ascend(m.byGenre[q.Genre], q.After, byID)
	default:
		m.albums.Ascend(q.After, func(_ int64, a Album) bool { return each(a) })
	}
	return p, nil
}

func ascend(ids *btree.Set[int64], from int64, each func(int64) bool) {
	if ids != nil {
		ids.Ascend(from, each)
	}
}

// Stream implements Service. It holds no lock while the caller processes an album.
func (m *Memory) Stream(ctx context.Context, f Filter) iter.Seq2[Album, error] {
	return Pages(ctx, f, m.List)
}

// Pages streams the pages of list. Between pages no lock or connection is held.
func Pages(ctx context.Context, f Filter, list func(context.Context, Query) (Page, error)) iter.Seq2[Album, error] {
	return func(yield func(Album, error) bool) {
		for q := (Query{Filter: f, Limit: MaxLimit}); ; {
			p, err := list(ctx, q)
			if err != nil {
				yield(Album{}, err)
				return
			}
			for _, a := range p.Albums {
				if !yield(a, nil) {
					return
				}
			}
			if q.After = p.Next; p.Next == 0 {
				return
			}
		}
	}
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

// Put implements Service.
func (m *Memory) Put(ctx context.Context, a Album) (_ Album, created bool, err error) {
	if err := ctx.Err(); err != nil {
		return Album{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a.CreatedAt = Now()
	old, exists := m.albums.Get(a.ID)
	if exists {
		a.CreatedAt = old.CreatedAt
		m.unset(old)
	} else if m.full(1) {
		return Album{}, false, ErrFull
	}
	m.set(a)
	return a, !exists, nil
}

// Delete implements Service.
func (m *Memory) Delete(ctx context.Context, id int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.albums.Get(id)
	if !ok {
		return ErrNotFound
	}
	m.unset(a)
	return nil
}

// Create implements Service.
func (m *Memory) Create(ctx context.Context, w Write) (Created, error) {
	if err := ctx.Err(); err != nil {
		return Created{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok, err := m.replay(w, false); ok || err != nil {
		return Created{Albums: old.created(w), Replayed: ok}, err
	}
	if m.keysFull(w) {
		return Created{}, ErrFull
	}
	albums, err := m.create(w)
	a := storedResult{ids: IDs(albums), err: err}
	if err == nil {
		a.createdAt = albums[0].CreatedAt
	}
	m.remember(w, false, a)
	return Created{Albums: albums}, err
}

// create creates the albums of w, all or none. Ids are assigned upwards from 1 and skip those that
// clients chose, so that a client that takes the largest id does not exhaust them.
func (m *Memory) create(w Write) ([]Album, error) {
	for _, a := range w.Albums {
		if a.ID != 0 && m.taken(a.ID) {
			return nil, w.Exists(m.taken)
		}
	}
	if m.full(len(w.Albums)) {
		return nil, ErrFull
	}
	albums, now := slices.Clone(w.Albums), Now()
	for i := range albums { // chosen ids first: none of them is assigned
		albums[i].CreatedAt = now
		if albums[i].ID != 0 {
			m.set(albums[i])
		}
	}
	for i := range albums {
		if albums[i].ID != 0 {
			continue
		}
		for m.taken(m.next) {
			m.next++
		}
		albums[i].ID = m.next
		m.next++
		m.set(albums[i])
	}
	return albums, nil
}

// replay returns the stored result of an earlier Write with the same key.
func (m *Memory) replay(w Write, async bool) (_ storedResult, ok bool, err error) {
	if w.Key == "" {
		return storedResult{}, false, nil
	}
	m.expireKeys()
	old, ok := m.answers[w.Key]
	if !ok {
		return storedResult{}, false, nil
	}
	if !bytes.Equal(old.fingerprint, w.Fingerprint(async)) {
		return storedResult{}, false, ErrKeyReused
	}
	return old, true, old.err
}

// remember stores the result of w, unless a retry can have another.
func (m *Memory) remember(w Write, async bool, a storedResult) {
	if w.Key == "" || errors.Is(a.err, ErrFull) {
		return
	}
	a.fingerprint, a.at = w.Fingerprint(async), time.Now()
	m.answers[w.Key] = a
	m.keys = append(m.keys, w.Key)
	m.keptIDs += a.weight()
}

// weight is the size of a stored result, in albums.
func (a storedResult) weight() int { return 1 + len(a.ids) }

// expireKeys deletes expired results.
func (m *Memory) expireKeys() {
	for len(m.keys) > 0 {
		a := m.answers[m.keys[0]]
		if time.Since(a.at) <= KeyLifetime {
			return
		}
		m.keptIDs -= a.weight()
		delete(m.answers, m.keys[0])
		m.keys = m.keys[1:]
	}
}

// keysFull reports whether there is no space for the result of w.
func (m *Memory) keysFull(w Write) bool {
	return w.Key != "" && m.Max > 0 && m.keptIDs+1+len(w.Albums) > 2*m.Max
}

func (m *Memory) full(more int) bool { return m.Max > 0 && m.albums.Len()+more > m.Max }

func (m *Memory) taken(id int64) bool {
	_, ok := m.albums.Get(id)
	return ok
}

func (m *Memory) set(a Album) {
	m.albums.Set(a.ID, a)
	m.byArtist.add(a.Artist, a.ID)
	if a.Genre != "" {
		m.byGenre.add(a.Genre, a.ID)
	}
}

func (m *Memory) unset(a Album) {
	m.albums.Delete(a.ID)
	m.byArtist.remove(a.Artist, a.ID)
	if a.Genre != "" {
		m.byGenre.remove(a.Genre, a.ID)
	}
}

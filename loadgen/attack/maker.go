package attack

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// maker makes requests: which comes next, and what is in it.
type maker struct {
	c     Config
	ids   *ids
	pages *pages

	mu    sync.Mutex
	order []*scenario
	n     int

	created atomic.Uint64 // albums that were made up
	missed  atomic.Uint64 // ids that nobody has
}

// targeter returns what vegeta calls for each request, from many goroutines.
func targeter(c Config, ids *ids, pages *pages) vegeta.Targeter {
	m := &maker{c: c, ids: ids, pages: pages, order: c.Mix.order(newRNG(c.Seed, 2))}
	return func(t *vegeta.Target) error {
		m.mu.Lock()
		s := m.order[m.n%len(m.order)]
		m.n++
		m.mu.Unlock()
		t.Method, t.URL, t.Header = s.method, c.URL+s.path, http.Header{scenarioHeader: {s.name}}
		if s.fill == nil {
			return nil
		}
		return s.fill(m, t)
	}
}

// newAlbum is the body of a create: an album without an id asks for one.
type newAlbum struct {
	Title  string      `json:"title"`
	Artist string      `json:"artist"`
	Price  album.Cents `json:"price"`
}

func (m *maker) next() newAlbum {
	a := fakealbum.New(m.c.Seed, m.created.Add(1)-1)
	return newAlbum{a.Title, a.Artist, a.Price}
}

func encode(t *vegeta.Target, v any) (err error) {
	t.Header.Set("Content-Type", "application/json")
	t.Body, err = json.Marshal(v)
	return err
}

func withID(t *vegeta.Target, id int64) { t.URL += strconv.FormatInt(id, 10) }

func (m *maker) album(t *vegeta.Target) error { return encode(t, m.next()) }

func (m *maker) known(t *vegeta.Target) error {
	withID(t, m.ids.pick())
	return nil
}

// firstUnknown is where ids begin that no store gives.
const firstUnknown = 1 << 52

func (m *maker) unknown(t *vegeta.Target) error {
	withID(t, firstUnknown+int64(m.missed.Add(1)))
	return nil
}

func (m *maker) update(t *vegeta.Target) error {
	withID(t, m.ids.pick())
	return m.album(t)
}

// mortal names an album that this attack created for the purpose. Where there is none
// yet, it asks for one that nobody has, which is answered 404.
func (m *maker) mortal(t *vegeta.Target) error {
	id, ok := m.ids.take()
	if !ok {
		t.Header.Set(wantHeader, strconv.Itoa(http.StatusNotFound))
		return m.unknown(t)
	}
	withID(t, id)
	return nil
}

func (m *maker) batch(t *vegeta.Target) error {
	albums := make([]newAlbum, batchSize)
	for i := range albums {
		albums[i] = m.next()
	}
	return encode(t, albums)
}

func (m *maker) page(t *vegeta.Target) error {
	next := m.pages.take()
	if next == "" {
		next = "/albums?limit=" + strconv.Itoa(pageSize)
	}
	t.URL = m.c.URL + next
	return nil
}

func (m *maker) stream(t *vegeta.Target) error {
	t.Header.Set("Accept", "application/x-ndjson")
	return nil
}

// bad is an album that nobody may keep: its title is too short, and its price too low.
func (m *maker) bad(t *vegeta.Target) error {
	t.Header.Set("Content-Type", "application/json")
	t.Body = []byte(`{"title":"x","artist":"Artist","price":-1}`)
	return nil
}

// maxPages is how many pages may be waiting to be asked for.
const maxPages = 1024

// pages are the next pages of those that were answered. Each is asked for once, so
// that walks through the collection go on, side by side.
type pages struct {
	mu   sync.Mutex
	next []string // the oldest first
}

// add remembers where a walk goes on.
func (p *pages) add(next string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) < maxPages {
		p.next = append(p.next, next)
	}
}

// take returns where a walk goes on, or "" if none does.
func (p *pages) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) == 0 {
		return ""
	}
	next := p.next[0]
	p.next = p.next[1:]
	return next
}

package attack

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// maker makes requests. What request n is follows from the seed and n, but for the ids
// and pages that only the answers tell.
type maker struct {
	seed  uint64
	ids   *ids
	pages *pages
	order []*scenario
}

func newMaker(c Config) *maker {
	return &maker{seed: c.Seed, ids: newIDs(c), pages: new(pages), order: c.Mix.order(newRNG(c.Seed, 2))}
}

// make returns request n of the plan.
func (m *maker) make(n uint64) (*scenario, *draft, error) {
	s := m.order[n%uint64(len(m.order))]
	d := &draft{n: n, method: s.method, path: s.path, want: s.want}
	if s.fill == nil {
		return s, d, nil
	}
	return s, d, s.fill(m, d)
}

// newAlbum is the body of a create: an album without an id asks for one.
type newAlbum struct {
	Title  string      `json:"title"`
	Artist string      `json:"artist"`
	Price  album.Cents `json:"price"`
	Genre  string      `json:"genre"`
	Year   int         `json:"year"`
}

// fake makes up one of the albums that request n can have: none of those of the same seed
// that datagen creates.
func (m *maker) fake(n uint64, i int) newAlbum {
	a := fakealbum.New(^m.seed, n*batchSize+uint64(i))
	return newAlbum{a.Title, a.Artist, a.Price, a.Genre, a.Year}
}

func (d *draft) encode(v any) (err error) {
	d.header = http.Header{"Content-Type": {"application/json"}}
	d.body, err = json.Marshal(v)
	return err
}

func (d *draft) withID(id int64) { d.path += strconv.FormatInt(id, 10) }

func (m *maker) album(d *draft) error { return d.encode(m.fake(d.n, 0)) }

func (m *maker) known(d *draft) error {
	d.withID(m.ids.pick(unit(m.seed, d.n)))
	return nil
}

// firstUnknown is where ids begin that no store gives.
const firstUnknown = 1 << 52

func (m *maker) unknown(d *draft) error {
	d.withID(firstUnknown + int64(d.n))
	return nil
}

func (m *maker) update(d *draft) error {
	d.withID(m.ids.pick(unit(m.seed, d.n)))
	return m.album(d)
}

// mortal names an album that this attack created for the purpose. Where there is none
// yet, it asks for one that nobody has, which is answered 404.
func (m *maker) mortal(d *draft) error {
	id, ok := m.ids.take()
	if !ok {
		d.want = http.StatusNotFound
		return m.unknown(d)
	}
	d.withID(id)
	return nil
}

func (m *maker) batch(d *draft) error {
	albums := make([]newAlbum, batchSize)
	for i := range albums {
		albums[i] = m.fake(d.n, i)
	}
	return d.encode(albums)
}

func (m *maker) page(d *draft) error {
	if d.path = m.pages.take(); d.path == "" {
		d.path = "/albums?limit=" + strconv.Itoa(pageSize)
	}
	return nil
}

func (m *maker) stream(d *draft) error {
	d.header = http.Header{"Accept": {"application/x-ndjson"}}
	return nil
}

// bad is an album that nobody may keep: its title is too short, and its price too low.
func (m *maker) bad(d *draft) error {
	d.header = http.Header{"Content-Type": {"application/json"}}
	d.body = []byte(`{"title":"x","artist":"Artist","price":-1}`)
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

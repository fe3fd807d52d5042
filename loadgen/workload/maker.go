package workload

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// maker makes requests. What request n is follows from the seed and n, but for the ids
// and pages that only the responses tell.
type maker struct {
	seed  uint64
	ids   *ids
	pages *pages
	order []*Scenario
}

func newMaker(m Mix, seed uint64) *maker {
	return &maker{seed: seed, ids: newIDs(m), pages: new(pages), order: m.order(rand.New(rand.NewPCG(seed, 2)))}
}

// make returns request n of the plan.
func (m *maker) make(n uint64) (*Request, error) {
	s := m.order[n%uint64(len(m.order))]
	r := &Request{Scenario: s, Method: s.method, Path: s.path, want: s.want, number: n}
	if s.fill == nil {
		return r, nil
	}
	return r, s.fill(m, r)
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

func (r *Request) encode(v any) (err error) {
	r.Header = http.Header{"Content-Type": {"application/json"}}
	r.Body, err = json.Marshal(v)
	return err
}

func (r *Request) withID(id int64) { r.Path += strconv.FormatInt(id, 10) }

func (m *maker) album(r *Request) error { return r.encode(m.fake(r.number, 0)) }

func (m *maker) known(r *Request) error {
	r.withID(m.ids.pick(unit(m.seed, r.number)))
	return nil
}

// firstUnknown is where ids begin that no store gives.
const firstUnknown = 1 << 52

func (m *maker) unknown(r *Request) error {
	r.withID(firstUnknown + int64(r.number))
	return nil
}

func (m *maker) update(r *Request) error {
	r.withID(m.ids.pick(unit(m.seed, r.number)))
	return m.album(r)
}

// deletion names an album that this run created for the purpose. Where there is none
// yet, it asks for one that nobody has, which is answered 404.
func (m *maker) deletion(r *Request) error {
	id, ok := m.ids.take()
	if !ok {
		r.want = http.StatusNotFound
		return m.unknown(r)
	}
	r.withID(id)
	return nil
}

func (m *maker) batch(r *Request) error {
	albums := make([]newAlbum, batchSize)
	for i := range albums {
		albums[i] = m.fake(r.number, i)
	}
	return r.encode(albums)
}

func (m *maker) page(r *Request) error {
	if r.Path = m.pages.take(); r.Path == "" {
		r.Path = "/albums?limit=" + strconv.Itoa(pageSize)
	}
	return nil
}

func (m *maker) stream(r *Request) error {
	r.Header = http.Header{"Accept": {"application/x-ndjson"}}
	return nil
}

// bad is an album that nobody may keep: its title is too short, and its price too low.
func (m *maker) bad(r *Request) error {
	r.Header = http.Header{"Content-Type": {"application/json"}}
	r.Body = []byte(`{"title":"x","artist":"Artist","price":-1}`)
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

// unit returns a number from 0 to below 1 that follows from seed and n.
func unit(seed, n uint64) float64 { return float64(Hash(Hash(seed)^n)>>11) / (1 << 53) }

// Hash is the finalizer of SplitMix64: one to one, and each bit depends on all.
func Hash(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

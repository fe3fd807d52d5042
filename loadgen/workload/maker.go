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

// maker generates requests. Request n depends on the seed and n only, except for ids and
// pages that come from responses.
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

// newAlbum is the body of a create: an album without an id.
type newAlbum struct {
	Title  string      `json:"title"`
	Artist string      `json:"artist"`
	Price  album.Cents `json:"price"`
	Genre  string      `json:"genre"`
	Year   int         `json:"year"`
}

// fake generates album i of request n. It never equals an album of datagen with the same seed.
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

// firstUnknown is the first of the ids that no store assigns.
const firstUnknown = 1 << 52

func (m *maker) unknown(r *Request) error {
	r.withID(firstUnknown + int64(r.number))
	return nil
}

func (m *maker) update(r *Request) error {
	r.withID(m.ids.pick(unit(m.seed, r.number)))
	return m.album(r)
}

// deletion deletes an album that this run created for it. Without one, it deletes an unknown
// album and expects a 404.
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

// bad is an invalid album: its title is too short, its price negative.
func (m *maker) bad(r *Request) error {
	r.Header = http.Header{"Content-Type": {"application/json"}}
	r.Body = []byte(`{"title":"x","artist":"Artist","price":-1}`)
	return nil
}

// maxPages is the max number of pending pages.
const maxPages = 1024

// pages are the next pages of responses. Each is requested once, so that several walks through
// the collection continue concurrently.
type pages struct {
	mu   sync.Mutex
	next []string // oldest first
}

// add stores the next page of a walk.
func (p *pages) add(next string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) < maxPages {
		p.next = append(p.next, next)
	}
}

// take returns the next page of a walk; "": no walk is pending.
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

// unit returns a number in [0, 1) that depends on seed and n.
func unit(seed, n uint64) float64 { return float64(Hash(Hash(seed)^n)>>11) / (1 << 53) }

// Hash is the finalizer of SplitMix64, a bijection with full avalanche.
func Hash(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

package contract

import (
	"math"
	"strings"
	"sync"
)

// id is what identifies an object: the values of a path's parameters.
type id struct {
	pool   *pool
	values string // joined by a character that no path has
}

// Limits of the memory of a long run.
const (
	maxIDs   = 1 << 14 // of a pool
	maxPages = 1024    // of an operation
)

// maxSubstitutes is how many requests of other operations are sent in place of one that needs an id, since the last
// id came.
const maxSubstitutes = 500

// separator is in no value of a path.
const separator = "\x00"

// pool has the ids of the objects of one path.
type pool struct {
	creators, listers []*Operation // of the mix, which bring ids
	deletes           bool         // the mix has deletes

	mu          sync.Mutex
	list        []string
	next        int            // oldest entry of a full list
	places      map[string]int // in list; taken: it is reserved for a delete, or gone
	reserved    []string       // for deletes, oldest first
	gone        []string       // ring of those that are not to be learned again
	goneNext    int            // oldest entry of a full ring
	created     int            // ids of new objects
	substitutes int            // since the last id
}

const taken = -1

func newPool() *pool { return &pool{places: map[string]int{}} }

// add stores an id. If the mix has deletes, every other new object is reserved for one.
func (p *pool) add(values []string, created bool) {
	key := strings.Join(values, separator)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.places[key]; known {
		return
	}
	p.substitutes = 0
	if created {
		p.created++
	}
	if created && p.deletes && p.created%2 == 1 {
		if len(p.reserved) < maxIDs {
			p.reserved = append(p.reserved, key)
			p.places[key] = taken
		}
		return
	}
	p.insert(key)
}

func (p *pool) insert(key string) {
	if len(p.list) < maxIDs {
		p.places[key] = len(p.list)
		p.list = append(p.list, key)
		return
	}
	delete(p.places, p.list[p.next])
	p.list[p.next], p.places[key] = key, p.next
	p.next = (p.next + 1) % maxIDs
}

// pick returns an id; u is uniform in [0, 1). As in a mix, popularity follows Zipf's law with exponent 1.
func (p *pool) pick(u float64) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == 0 {
		return "", false
	}
	k := int(math.Pow(float64(len(p.list)+1), u)) - 1
	return p.list[min(k, len(p.list)-1)], true
}

// take returns an id to delete: a reserved one or, if no operation creates objects, any.
func (p *pool) take() (key string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.reserved) > 0:
		key = p.reserved[0]
		p.reserved = p.reserved[1:]
		p.bury(key)
		return key, true
	case len(p.list) > 0 && (len(p.creators) == 0 || p.substitutes >= maxSubstitutes):
		key = p.list[len(p.list)-1]
		p.remove(key)
		return key, true
	}
	return "", false
}

// giveBack stores an id again whose object was not deleted.
func (p *pool) giveBack(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places[key] == taken {
		p.insert(key)
	}
}

// forget removes an id whose object is gone.
func (p *pool) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(key)
}

// remove takes an id out of the list, and the last one to its place.
func (p *pool) remove(key string) {
	i, known := p.places[key]
	if !known || i == taken {
		return
	}
	last := len(p.list) - 1
	p.list[i] = p.list[last]
	p.places[p.list[i]] = i
	p.list = p.list[:last]
	p.next = 0
	p.bury(key)
}

// bury keeps an id from being learned again, from a list that was sent before the delete.
func (p *pool) bury(key string) {
	p.places[key] = taken
	if len(p.gone) < maxIDs {
		p.gone = append(p.gone, key)
		return
	}
	if old := p.gone[p.goneNext]; p.places[old] == taken {
		delete(p.places, old)
	}
	p.gone[p.goneNext] = key
	p.goneNext = (p.goneNext + 1) % maxIDs
}

// ready reports whether the pool has an id.
func (p *pool) ready(deletion bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if deletion {
		return len(p.reserved) > 0 || len(p.list) > 0 && len(p.creators) == 0
	}
	return len(p.list) > 0
}

// substitute returns an operation that may bring an id; nil: there is none, or it has been sent often enough.
func (p *pool) substitute(n uint64, deletion bool) *Operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := append(append([]*Operation{}, p.creators...), p.listers...)
	if deletion && len(p.creators) > 0 {
		list = p.creators
	}
	if len(list) == 0 || p.substitutes >= maxSubstitutes {
		return nil
	}
	p.substitutes++
	return list[n%uint64(len(list))]
}

// pages are the queries of next pages. Each is requested once.
type pages struct {
	mu   sync.Mutex
	next []string
}

func (p *pages) add(query string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) < maxPages {
		p.next = append(p.next, query)
	}
}

func (p *pages) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) == 0 {
		return ""
	}
	query := p.next[0]
	p.next = p.next[1:]
	return query
}

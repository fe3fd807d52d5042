package attack

import (
	"strconv"
	"strings"
	"sync"

	"soundcheck/internal/album"
)

// maxIDs bounds what a long attack remembers.
const maxIDs = 1 << 16

// ids are albums to ask for: those of every new store, and the last that this
// attack created. When it is full, a new one takes the place of the oldest.
type ids struct {
	mu   sync.Mutex
	rng  rng
	list []int64
	next int // the oldest, once list is full
}

func newIDs(seed uint64) *ids {
	s := &ids{rng: newRNG(seed, 1)}
	for _, a := range album.Seed() {
		s.list = append(s.list, a.ID)
	}
	return s
}

// add remembers the album that a Location header names.
func (s *ids) add(location string) {
	id, err := strconv.ParseInt(location[strings.LastIndexByte(location, '/')+1:], 10, 64)
	if err != nil {
		return // it cannot be asked for
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < maxIDs {
		s.list = append(s.list, id)
		return
	}
	s.list[s.next] = id
	s.next = (s.next + 1) % maxIDs
}

func (s *ids) pick() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list[s.rng.IntN(len(s.list))]
}

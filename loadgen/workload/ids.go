package workload

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"soundcheck/internal/album"
)

// maxIDs bounds what a long run remembers.
const maxIDs = 1 << 16

// ids are albums to ask for: those of every new store, and the last that this
// run created. When it is full, a new one takes the place of the oldest. If albums
// are deleted, every other one that is created is for that, and is not asked for.
type ids struct {
	deletes bool

	mu        sync.Mutex
	list      []int64
	next      int // the oldest, once list is full
	deletable []int64
	created   int
}

func newIDs(m Mix) *ids {
	s := &ids{deletes: m["delete"] > 0}
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
	if s.created++; s.deletes && s.created%2 == 1 && len(s.deletable) < maxIDs {
		s.deletable = append(s.deletable, id)
		return
	}
	if len(s.list) < maxIDs {
		s.list = append(s.list, id)
		return
	}
	s.list[s.next] = id
	s.next = (s.next + 1) % maxIDs
}

// pick returns an album to ask for; u is by chance from 0 to below 1. As in real shops
// few are popular and many are not: the chance of the k-th is as 1/k (Zipf's law with
// exponent 1).
func (s *ids) pick(u float64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := int(math.Pow(float64(len(s.list)+1), u)) - 1
	return s.list[min(k, len(s.list)-1)]
}

// take returns an album to delete, if there is one.
func (s *ids) take() (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.deletable) == 0 {
		return 0, false
	}
	id := s.deletable[0]
	s.deletable = s.deletable[1:]
	return id, true
}

package workload

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"soundcheck/internal/album"
)

// maxIDs bounds the memory of a long run.
const maxIDs = 1 << 16

// ids are the ids of albums to request: those of every new store, and the last ones that this
// run created (ring buffer). If the mix has deletes, every other created album is reserved
// for a delete.
type ids struct {
	deletes bool

	mu        sync.Mutex
	list      []int64
	next      int // oldest entry of a full list
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

// add stores the album of a Location header.
func (s *ids) add(location string) {
	id, err := strconv.ParseInt(location[strings.LastIndexByte(location, '/')+1:], 10, 64)
	if err != nil {
		return // no id to request
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

// pick returns an album to request; u is uniform in [0, 1). Popularity follows Zipf's law
// with exponent 1, as in real shops: the probability of the k-th album is proportional to 1/k.
func (s *ids) pick(u float64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := int(math.Pow(float64(len(s.list)+1), u)) - 1
	return s.list[min(k, len(s.list)-1)]
}

// take returns a reserved album to delete, if there is one.
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

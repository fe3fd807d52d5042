// Package memo stores values that are created once for each key.
package memo

import (
	"maps"
	"sync"
	"sync/atomic"
)

// maxValues is the maximum number of stored values. Above it, Get creates a new one each time.
const maxValues = 2000

// Map stores a value for each key. There should be few keys: adding one copies the Map. The zero
// value is ready for use.
type Map[K comparable, V any] struct {
	values atomic.Pointer[map[K]V] // is never changed, so that Get takes no lock
	mu     sync.Mutex
}

// Get returns the value of k, which create creates. Concurrent calls may create it twice.
func (m *Map[K, V]) Get(k K, create func(K) V) V {
	if values := m.values.Load(); values != nil {
		if v, ok := (*values)[k]; ok {
			return v
		}
	}
	v := create(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[K]V{}
	if values := m.values.Load(); values != nil {
		if len(*values) >= maxValues {
			return v
		}
		maps.Copy(next, *values)
	}
	next[k] = v
	m.values.Store(&next)
	return v
}

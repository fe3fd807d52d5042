package httptelemetry

import (
	"maps"
	"sync"
	"sync/atomic"
)

// maxCached is the maximum number of values in a cache. Routes, methods and statuses are few: what a
// client can choose is not in a key.
const maxCached = 2000

// cache holds values that are created once for each key. Reading takes no lock.
type cache[K comparable, V any] struct {
	values atomic.Pointer[map[K]V]
	mu     sync.Mutex
}

func (c *cache[K, V]) get(k K, create func(K) V) V {
	if values := c.values.Load(); values != nil {
		if v, ok := (*values)[k]; ok {
			return v
		}
	}
	v := create(k)
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[K]V{}
	if values := c.values.Load(); values != nil {
		if len(*values) >= maxCached {
			return v
		}
		maps.Copy(next, *values)
	}
	next[k] = v
	c.values.Store(&next)
	return v
}

package album

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
)

func mustCreate(t *testing.T, s Service, a Album) Album {
	t.Helper()
	got, err := s.Create(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func newAlbum(id int64) Album {
	return Album{ID: id, Title: fmt.Sprint("title ", id), Artist: "artist", Price: 100}
}

func TestMemoryCreate(t *testing.T) {
	t.Parallel()
	m := NewMemory(Seed()...)
	if a := mustCreate(t, m, newAlbum(0)); a.ID != 4 {
		t.Errorf("first assigned id = %d, want 4", a.ID)
	}
	mustCreate(t, m, newAlbum(math.MaxInt64)) // must not use up the ids
	mustCreate(t, m, newAlbum(5))
	if a := mustCreate(t, m, newAlbum(0)); a.ID != 6 {
		t.Errorf("assigned id = %d, want 6: 5 is taken", a.ID)
	}
	if _, err := m.Create(t.Context(), newAlbum(5)); !errors.Is(err, ErrExists) {
		t.Errorf("Create(id 5 again) = %v, want ErrExists", err)
	}
	if a, err := m.Get(t.Context(), 5); err != nil || a != newAlbum(5) {
		t.Errorf("Get(5) = %v, %v", a, err)
	}
	if _, err := m.Get(t.Context(), 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get(99) = %v, want ErrNotFound", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Create(ctx, newAlbum(7)); !errors.Is(err, context.Canceled) {
		t.Errorf("Create(cancelled) = %v", err)
	}
	if _, err := m.Get(t.Context(), 7); !errors.Is(err, ErrNotFound) {
		t.Errorf("an album whose caller had left was kept: %v", err)
	}
}

// Nothing that was accepted is lost, and no id is given twice.
func TestMemoryConcurrentCreate(t *testing.T) {
	t.Parallel()
	const workers, each = 20, 200
	m := NewMemory()
	ids := make([][]int64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				a, err := m.Create(t.Context(), newAlbum(0))
				if err != nil {
					t.Error(err)
				}
				ids[w] = append(ids[w], a.ID)
			}
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	for _, list := range ids {
		for _, id := range list {
			if seen[id] {
				t.Errorf("id %d was given twice", id)
			}
			seen[id] = true
			if _, err := m.Get(t.Context(), id); err != nil {
				t.Errorf("Get(%d) = %v", id, err)
			}
		}
	}
	if len(seen) != workers*each {
		t.Errorf("%d albums, want %d", len(seen), workers*each)
	}
}

func walk(t *testing.T, s Service, limit int, each func()) []int64 {
	t.Helper()
	var ids []int64
	for q := (Query{Limit: limit}); ; {
		p, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Albums) > limit {
			t.Fatalf("%d albums on a page of %d", len(p.Albums), limit)
		}
		for _, a := range p.Albums {
			if len(ids) > 0 && a.ID <= ids[len(ids)-1] {
				t.Fatalf("id %d after %d", a.ID, ids[len(ids)-1])
			}
			ids = append(ids, a.ID)
		}
		if p.Next == 0 {
			return ids
		}
		q.After = p.Next
		each()
	}
}

func TestMemoryList(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	if p, err := m.List(t.Context(), Query{Limit: 10}); err != nil || p.Albums == nil || len(p.Albums) != 0 || p.Next != 0 {
		t.Errorf("List(empty) = %#v, %v, want an empty page, not nil", p, err)
	}
	for id := int64(2); id <= 20; id += 2 {
		mustCreate(t, m, newAlbum(id))
	}
	for _, limit := range []int{1, 3, 5, 10, 11} {
		if ids := walk(t, m, limit, func() {}); len(ids) != 10 {
			t.Errorf("pages of %d give %v", limit, ids)
		}
	}
	for _, after := range []int64{20, 21, math.MaxInt64} {
		if p, err := m.List(t.Context(), Query{Limit: 5, After: after}); err != nil || len(p.Albums) != 0 || p.Next != 0 {
			t.Errorf("List(after %d) = %v, %v", after, p, err)
		}
	}
	// What was there at the start is seen once, whatever comes in between.
	next := int64(1)
	seen := map[int64]bool{}
	for _, id := range walk(t, m, 3, func() { mustCreate(t, m, newAlbum(next)); next += 6 }) {
		seen[id] = true
	}
	for id := int64(2); id <= 20; id += 2 {
		if !seen[id] {
			t.Errorf("album %d was missed", id)
		}
	}
}

// Package albumtest tests the behaviour of any album.Service, whatever its database and transport.
package albumtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"soundcheck/internal/album"
)

// Run tests the new services that open returns, which hold album.Seed.
func Run(t *testing.T, open func(*testing.T) album.Service) {
	for name, test := range map[string]func(*testing.T, album.Service){
		"Seed": testSeed, "IDs": testIDs, "Put": testPut, "Delete": testDelete, "List": testList,
		"Filter": testFilter, "Stream": testStream, "Batch": testBatch, "Key": testKey, "KeyOfFailure": testKeyOfFailure,
		"KeyOnce": testKeyOnce, "Operation": testOperation, "OperationFails": testOperationFails,
		"Concurrent": testConcurrent, "Cancelled": testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// New returns an album to create with this id; 0: assigned by the store.
func New(id int64) album.Album {
	return album.Album{ID: id, Title: fmt.Sprint("Title ", id), Artist: "Artist", Price: 100}
}

// Create creates albums, one by one.
func Create(t *testing.T, s album.Service, albums ...album.Album) (created []album.Album) {
	t.Helper()
	for _, a := range albums {
		c, err := s.Create(t.Context(), album.One(a))
		if err != nil {
			t.Fatal(err)
		}
		created = append(created, c.Albums...)
	}
	return created
}

// All walks the pages of a service and returns every album.
func All(t *testing.T, s album.Service, q album.Query) (all []album.Album) {
	t.Helper()
	for {
		p, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if p.Albums == nil || len(p.Albums) > q.Limit {
			t.Fatalf("%d albums (nil: %v) on a page of %d", len(p.Albums), p.Albums == nil, q.Limit)
		}
		all = append(all, p.Albums...)
		if !slices.IsSortedFunc(all, func(a, b album.Album) int { return int(min(1, max(-1, a.ID-b.ID))) }) {
			t.Fatalf("not in order: %v", album.IDs(all))
		}
		if q.After = p.Next; p.Next == 0 {
			return all
		}
	}
}

// Await waits until an operation has finished.
func Await(t *testing.T, s album.Service, id string) album.Operation {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		op, err := s.Operation(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if op.Status == album.Succeeded || op.Status == album.Failed {
			return op
		}
		if time.Now().After(deadline) {
			t.Fatalf("operation %+v has not ended", op)
		}
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

// wantAlbum fails unless the service has a, whose CreatedAt is not compared if it is zero.
func wantAlbum(t *testing.T, s album.Service, want album.Album) {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if want.CreatedAt.IsZero() {
		want.CreatedAt = got.CreatedAt
	}
	if err != nil || got != want || got.CreatedAt.IsZero() {
		t.Errorf("Get(%d) = %+v, %v, want %+v", want.ID, got, err, want)
	}
}

func testSeed(t *testing.T, s album.Service) {
	for _, a := range album.Seed() {
		a.CreatedAt = time.Time{}
		wantAlbum(t, s, a)
	}
	_, err := s.Get(t.Context(), 4)
	wantErr(t, "Get(4)", err, album.ErrNotFound)
	_, err = s.Get(t.Context(), -1)
	wantErr(t, "Get(-1)", err, album.ErrNotFound)
}

func testIDs(t *testing.T, s album.Service) {
	before := album.Now()
	a := Create(t, s, New(0))[0]
	if a.ID != 4 || a.CreatedAt.Before(before.Add(-time.Minute)) || a.CreatedAt.After(album.Now().Add(time.Minute)) {
		t.Errorf("the first album is %+v, want id 4, created now", a)
	}
	wantAlbum(t, s, a)
	Create(t, s, New(math.MaxInt64)) // must not use up the ids
	Create(t, s, New(5))
	if a := Create(t, s, New(0))[0]; a.ID != 6 {
		t.Errorf("assigned id = %d, want 6: 5 is taken", a.ID)
	}
	_, err := s.Create(t.Context(), album.One(New(5)))
	wantErr(t, "Create(id 5 again)", err, album.ErrExists)
	awkward := album.Album{ID: 100, Title: "\"\\'; DROP TABLE albums; --\u2028\t", Artist: "Sigur Rós 椎名林檎 🎸 مرحبا \U0010ffff",
		Price: album.MaxPrice, Genre: "R&B <script>", Year: 2100}
	Create(t, s, awkward)
	wantAlbum(t, s, awkward)
	longest := New(101) // random: what can be compressed is shorter in an index
	rng := rand.New(rand.NewPCG(1, 2))
	longest.Title, longest.Artist, longest.Genre = "", "", ""
	for range album.MaxText {
		longest.Title += string(rune(0x20000 + rng.IntN(40000)))
		longest.Artist += string(rune(0x20000 + rng.IntN(40000)))
	}
	for range album.MaxGenre {
		longest.Genre += string(rune(0x20000 + rng.IntN(40000)))
	}
	Create(t, s, longest)
	wantAlbum(t, s, longest)
	if got := All(t, s, album.Query{Limit: 10, Filter: album.Filter{Artist: longest.Artist, Genre: longest.Genre}}); len(got) != 1 {
		t.Errorf("%d albums of the artist with the longest name, want 1", len(got))
	}
}

func testPut(t *testing.T, s album.Service) {
	seed, err := s.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	changed := album.Album{ID: 1, Title: "Other", Artist: "Somebody", Price: 1}
	got, created, err := s.Put(t.Context(), changed)
	changed.CreatedAt = seed.CreatedAt
	if err != nil || created || got != changed {
		t.Errorf("Put(1) = %+v, %v, %v, want %+v, replaced", got, created, err, changed)
	}
	wantAlbum(t, s, changed)
	added := New(50)
	added.Genre, added.Year = "Rock", 1999
	for range 2 {
		got, isNew, err := s.Put(t.Context(), added)
		if err != nil || isNew != (added.CreatedAt.IsZero()) {
			t.Errorf("Put(50) = %+v, %v, %v", got, isNew, err)
		}
		added.CreatedAt = got.CreatedAt
		wantAlbum(t, s, added)
	}
	if got := All(t, s, album.Query{Limit: 10, Filter: album.Filter{Artist: "John Coltrane"}}); len(got) != 0 {
		t.Errorf("found under its old artist: %v", got)
	}
	if got := All(t, s, album.Query{Limit: 10, Filter: album.Filter{Artist: "Somebody"}}); len(got) != 1 {
		t.Errorf("under its new artist: %v", got)
	}
}

func testDelete(t *testing.T, s album.Service) {
	if err := s.Delete(t.Context(), 2); err != nil {
		t.Error(err)
	}
	wantErr(t, "Delete(2) again", s.Delete(t.Context(), 2), album.ErrNotFound)
	_, err := s.Get(t.Context(), 2)
	wantErr(t, "Get(2)", err, album.ErrNotFound)
	if ids := album.IDs(All(t, s, album.Query{Limit: 1})); !slices.Equal(ids, []int64{1, 3}) {
		t.Errorf("left: %v", ids)
	}
	if a := Create(t, s, New(0))[0]; a.ID != 2 && a.ID != 4 {
		t.Errorf("assigned %d", a.ID)
	}
}

func testList(t *testing.T, s album.Service) {
	for _, id := range []int64{12, 10, 20, 18, 14, 16} {
		Create(t, s, New(id))
	}
	want := []int64{1, 2, 3, 10, 12, 14, 16, 18, 20}
	for _, limit := range []int{1, 2, 3, 4, 8, 9, 10, album.MaxLimit} {
		if ids := album.IDs(All(t, s, album.Query{Limit: limit})); !slices.Equal(ids, want) {
			t.Errorf("pages of %d give %v, want %v", limit, ids, want)
		}
	}
	for _, after := range []int64{20, 21, math.MaxInt64} {
		if p, err := s.List(t.Context(), album.Query{Limit: 5, After: after}); err != nil || len(p.Albums) != 0 || p.Next != 0 {
			t.Errorf("List(after %d) = %v, %v", after, p, err)
		}
	}
	// Albums that exist at the start appear once, whatever is created in between.
	var ids []int64
	next := int64(11)
	for q := (album.Query{Limit: 2}); ; {
		p, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, album.IDs(p.Albums)...)
		if q.After = p.Next; p.Next == 0 {
			break
		}
		Create(t, s, New(next))
		next += 2
	}
	for _, id := range want {
		if i := slices.Index(ids, id); i < 0 || slices.Contains(ids[i+1:], id) {
			t.Errorf("album %d was not seen once in %v", id, ids)
		}
	}
}

func testFilter(t *testing.T, s album.Service) {
	for i := range 20 {
		a := New(int64(100 + i))
		a.Artist, a.Genre = fmt.Sprint("Artist ", i%2), fmt.Sprint("Genre ", i%5)
		Create(t, s, a)
	}
	for _, tt := range []struct {
		album.Filter
		want []int64
	}{
		{album.Filter{Artist: "Artist 1"}, []int64{101, 103, 105, 107, 109, 111, 113, 115, 117, 119}},
		{album.Filter{Genre: "Genre 3"}, []int64{103, 108, 113, 118}},
		{album.Filter{Artist: "Artist 1", Genre: "Genre 3"}, []int64{103, 113}},
		{album.Filter{Artist: "artist 1"}, nil}, // exact
		{album.Filter{Artist: "Artist 1 "}, nil},
		{album.Filter{Genre: "Jazz"}, []int64{1, 2, 3}},
	} {
		for _, limit := range []int{1, 2, 100} {
			if ids := album.IDs(All(t, s, album.Query{Filter: tt.Filter, Limit: limit})); !slices.Equal(ids, tt.want) {
				t.Errorf("pages of %d of %+v give %v, want %v", limit, tt.Filter, ids, tt.want)
			}
		}
		if ids := stream(t, s, tt.Filter); !slices.Equal(ids, tt.want) {
			t.Errorf("the stream of %+v gives %v, want %v", tt.Filter, ids, tt.want)
		}
	}
}

func stream(t *testing.T, s album.Service, f album.Filter) (ids []int64) {
	t.Helper()
	for a, err := range s.Stream(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	return ids
}

func testStream(t *testing.T, s album.Service) {
	const n = 2*album.MaxLimit + 5
	w := album.Write{Batch: true}
	for range n {
		w.Albums = append(w.Albums, New(0))
	}
	if _, err := s.Create(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	ids := stream(t, s, album.Filter{})
	if len(ids) != n+3 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != n+3 {
		t.Errorf("%d albums in the stream, want %d, each once", len(ids), n+3)
	}
	seen := 0
	for range s.Stream(t.Context(), album.Filter{}) {
		if seen++; seen == 10 {
			break // the caller may leave
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last error
	seen = 0
	for _, err := range s.Stream(ctx, album.Filter{}) {
		if seen++; seen == 10 {
			cancel()
		}
		last = err
	}
	cancel()
	if seen >= n || last == nil {
		t.Errorf("a stream whose context ended gave %d albums and ended with %v", seen, last)
	}
}

func testCancelled(t *testing.T, s album.Service) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Create(ctx, album.One(New(7)))
	wantErr(t, "Create(cancelled)", err, context.Canceled)
	_, err = s.List(ctx, album.Query{Limit: 1})
	wantErr(t, "List(cancelled)", err, context.Canceled)
	_, err = s.Get(t.Context(), 7)
	wantErr(t, "Get(7)", err, album.ErrNotFound)
}

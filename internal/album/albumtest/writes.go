package albumtest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"soundcheck/internal/album"
)

func testBatch(t *testing.T, s album.Service) {
	Create(t, s, New(7))
	c, err := s.Create(t.Context(), album.Write{Batch: true, Albums: []album.Album{New(0), New(5), New(0), New(4), New(0)}})
	// Chosen ids go first; the others are assigned around them.
	if got, want := album.IDs(c.Albums), []int64{6, 5, 8, 4, 9}; err != nil || !slices.Equal(got, want) {
		t.Errorf("the batch got ids %v, %v, want %v", got, err, want)
	}
	_, err = s.Create(t.Context(), album.Write{Batch: true, Albums: []album.Album{New(0), New(20), New(5), New(6)}})
	wantErr(t, "Create(two ids taken)", err, album.ErrExists)
	var exists *album.ExistsError
	want := []album.FieldError{{Field: "[2].id", Message: "taken"}, {Field: "[3].id", Message: "taken"}}
	if !errors.As(err, &exists) || !slices.Equal(exists.Fields, want) {
		t.Errorf("Create(two ids taken) = %#v, want %v", err, want)
	}
	if ids := album.IDs(All(t, s, album.Query{Limit: 100})); !slices.Equal(ids, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("after a rejected batch the albums are %v", ids)
	}
	if a := Create(t, s, New(0))[0]; a.ID != 10 {
		t.Errorf("then %d is assigned, want 10", a.ID)
	}
}

func testKey(t *testing.T, s album.Service) {
	one := album.One(New(0))
	one.Key = "a"
	first, err := s.Create(t.Context(), one)
	if err != nil || first.Replayed {
		t.Fatal(first, err)
	}
	again, err := s.Create(t.Context(), one)
	if err != nil || !again.Replayed || !slices.Equal(again.Albums, first.Albums) {
		t.Errorf("again: %+v, %v, want %+v, replayed", again, err, first)
	}
	other := album.One(New(0))
	other.Key, other.Albums[0].Price = "a", 101
	_, err = s.Create(t.Context(), other)
	wantErr(t, "Create(another album)", err, album.ErrKeyReused)
	batch := one
	batch.Batch = true
	_, err = s.Create(t.Context(), batch)
	wantErr(t, "Create(as a batch)", err, album.ErrKeyReused)
	_, _, err = s.Submit(t.Context(), one)
	wantErr(t, "Submit", err, album.ErrKeyReused)
	batch.Key = "b"
	batch.Albums = []album.Album{New(0), New(0)}
	first, err = s.Create(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	again, err = s.Create(t.Context(), batch)
	if err != nil || !again.Replayed || !slices.Equal(album.IDs(again.Albums), album.IDs(first.Albums)) {
		t.Errorf("the batch again: %+v, %v, want %+v, replayed", again, err, first)
	}
	// The first result is replayed, even after the album is deleted.
	if err := s.Delete(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if again, err = s.Create(t.Context(), one); err != nil || !again.Replayed {
		t.Errorf("after its end: %+v, %v", again, err)
	}
	if n := len(All(t, s, album.Query{Limit: 100})); n != 5 {
		t.Errorf("%d albums, want 5", n)
	}
}

func testKeyOfFailure(t *testing.T, s album.Service) {
	taken := album.Write{Batch: true, Key: "k", Albums: []album.Album{New(0), New(2)}}
	_, err := s.Create(t.Context(), taken)
	wantErr(t, "Create(2)", err, album.ErrExists)
	if err := s.Delete(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	c, err := s.Create(t.Context(), taken) // replayed
	wantErr(t, "Create(2) again", err, album.ErrExists)
	var exists *album.ExistsError
	if !c.Replayed || !errors.As(err, &exists) || len(exists.Fields) != 1 {
		t.Errorf("Create(2) again = %+v, %v, want the first result, replayed", c, err)
	}
}

// Of concurrent Writes with one key, one creates the album.
func testKeyOnce(t *testing.T, s album.Service) {
	w := album.One(New(0))
	w.Key = "once"
	var mu sync.Mutex
	created := 0
	ids := map[int64]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			c, err := s.Create(t.Context(), w)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, album.ErrKeyRunning):
			case err != nil:
				t.Error(err)
			default:
				if ids[c.Albums[0].ID] = true; !c.Replayed {
					created++
				}
			}
		})
	}
	wg.Wait()
	if created != 1 || len(ids) != 1 || len(All(t, s, album.Query{Limit: 100})) != 4 {
		t.Errorf("%d created, ids %v", created, ids)
	}
}

func testOperation(t *testing.T, s album.Service) {
	w := album.Write{Batch: true, Key: "op", Albums: []album.Album{New(0), New(30), New(0)}}
	op, replayed, err := s.Submit(t.Context(), w)
	if err != nil || replayed || op.ID == "" || op.CreatedAt.IsZero() {
		t.Fatal(op, replayed, err)
	}
	again, replayed, err := s.Submit(t.Context(), w)
	if err != nil || !replayed || again.ID != op.ID {
		t.Errorf("Submit again = %+v, %v, %v, want operation %s again", again, replayed, err, op.ID)
	}
	end := Await(t, s, op.ID)
	if want := []int64{4, 30, 5}; end.Status != album.Succeeded || !slices.Equal(end.IDs, want) || end.Err != nil {
		t.Errorf("the operation is %+v, want it to have created %v", end, want)
	}
	if !end.CreatedAt.Equal(op.CreatedAt) || end.StartedAt.Before(end.CreatedAt) || end.FinishedAt.Before(end.StartedAt) {
		t.Errorf("times out of order: %+v", end)
	}
	wantAlbum(t, s, New(30))
	_, err = s.Operation(t.Context(), "00000000-0000-0000-0000-000000000000")
	wantErr(t, "Operation(none)", err, album.ErrNoOperation)
}

func testOperationFails(t *testing.T, s album.Service) {
	op, _, err := s.Submit(t.Context(), album.Write{Batch: true, Albums: []album.Album{New(0), New(1)}})
	if err != nil {
		t.Fatal(err)
	}
	end := Await(t, s, op.ID)
	var exists *album.ExistsError
	if end.Status != album.Failed || !errors.As(end.Err, &exists) || len(exists.Fields) != 1 || end.IDs != nil {
		t.Errorf("the operation is %+v, want it to have failed because id 1 is taken", end)
	}
	if n := len(All(t, s, album.Query{Limit: 100})); n != 3 {
		t.Errorf("%d albums, want 3", n)
	}
}

// No accepted Write is lost, and no id is assigned twice.
func testConcurrent(t *testing.T, s album.Service) {
	const workers, each = 16, 25
	ids := make([][]int64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				a := New(0)
				if i%5 == 0 {
					a.ID = int64(10 + w*each + i) // collides with assigned ids
				}
				c, err := s.Create(t.Context(), album.One(a))
				if errors.Is(err, album.ErrExists) && a.ID != 0 {
					a.ID = 0
					c, err = s.Create(t.Context(), album.One(a))
				}
				if err != nil {
					t.Error(err)
					return
				}
				ids[w] = append(ids[w], c.Albums[0].ID)
			}
		})
	}
	wg.Wait()
	all := slices.Sorted(slices.Values(append(slices.Concat(ids...), 1, 2, 3)))
	if got := album.IDs(All(t, s, album.Query{Limit: 100})); !slices.Equal(got, all) || len(slices.Compact(all)) != workers*each+3 {
		t.Errorf("%d albums, %d accepted, want %d", len(got), len(all), workers*each+3)
	}
}

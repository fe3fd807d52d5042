package db

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

// A random sequence of calls has the same outcome in memory, on SQLite and on
// PostgreSQL: results, errors, assigned ids, and the final albums.
func TestSameEverywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			services := map[string]album.Service{
				"memory":   album.NewMemory(album.Seed()...),
				"sqlite":   open(t, Config{URL: databases["sqlite"](t)}),
				"postgres": open(t, Config{URL: databases["postgres"](t)}),
			}
			rng := rand.New(rand.NewPCG(seed, 0))
			for step := range 300 {
				what, call := randomCall(t, rng)
				want := call(services["memory"])
				for name, s := range services {
					if name == "memory" {
						continue
					}
					if got := call(s); got != want {
						t.Fatalf("step %d: %s\n%s on %s, want\n%s as in memory", step, what, got, name, want)
					}
				}
			}
			want := timeless(albumtest.All(t, services["memory"], album.Query{Limit: 1000}))
			for name, s := range services {
				if got := timeless(albumtest.All(t, s, album.Query{Limit: 1000})); !slices.Equal(got, want) {
					t.Errorf("in the end there is\n%v on %s, want\n%v", got, name, want)
				}
			}
		})
	}
}

// timeless are albums without the time of their creation.
func timeless(albums []album.Album) []album.Album {
	albums = slices.Clone(albums)
	for i := range albums {
		albums[i].CreatedAt = time.Time{}
	}
	return albums
}

func code(err error) string {
	if err == nil {
		return "ok"
	}
	return fmt.Sprint(album.NewFailure(err))
}

// randomCall returns a call, and what it does. Its outcome is text without times
// and random ids.
func randomCall(t *testing.T, rng *rand.Rand) (what string, call func(album.Service) string) {
	ctx := t.Context()
	id := func() int64 { return 1 + rng.Int64N(60) }
	albums := func(n int) (list []album.Album) {
		seen := map[int64]bool{}
		for range n {
			a := albumtest.New(0)
			a.Title = fmt.Sprint("Title ", rng.IntN(1000))
			a.Artist, a.Genre, a.Year = fmt.Sprint("Artist ", rng.IntN(3)), []string{"", "Rock", "Jazz"}[rng.IntN(3)], []int{0, 1970}[rng.IntN(2)]
			if i := id(); rng.IntN(3) == 0 && !seen[i] {
				a.ID, seen[i] = i, true
			}
			list = append(list, a)
		}
		return list
	}
	w := album.Write{Albums: albums(1)}
	if rng.IntN(2) == 0 {
		w = album.Write{Albums: albums(1 + rng.IntN(6)), Batch: true}
	}
	if rng.IntN(3) == 0 {
		w.Key = fmt.Sprint("key ", rng.IntN(10))
		w.Albums = []album.Album{{ID: int64(rng.IntN(3)) * 70, Title: "Title", Artist: "Artist", Price: 1}}
	}
	i := id()
	q := album.Query{Limit: 1 + rng.IntN(5), After: rng.Int64N(60)}
	if rng.IntN(2) == 0 {
		q.Artist = fmt.Sprint("Artist ", rng.IntN(3))
	}
	if rng.IntN(3) == 0 {
		q.Genre = "Rock"
	}
	a := albums(1)[0]
	a.ID = i
	switch rng.IntN(10) {
	case 0, 1, 2:
		return fmt.Sprintf("Create(%+v)", w), func(s album.Service) string {
			c, err := s.Create(ctx, w)
			return fmt.Sprint(timeless(c.Albums), c.Replayed, code(err))
		}
	case 3:
		return fmt.Sprintf("Submit(%+v)", w), func(s album.Service) string {
			op, replayed, err := s.Submit(ctx, w)
			if err != nil {
				return code(err)
			}
			op = albumtest.Await(t, s, op.ID)
			return fmt.Sprint(replayed, op.Status, op.IDs, code(op.Err))
		}
	case 4:
		return fmt.Sprintf("Put(%+v)", a), func(s album.Service) string {
			got, created, err := s.Put(ctx, a)
			return fmt.Sprint(timeless([]album.Album{got}), created, code(err))
		}
	case 5, 6:
		return fmt.Sprintf("Delete(%d)", i), func(s album.Service) string { return code(s.Delete(ctx, i)) }
	case 7:
		return fmt.Sprintf("Get(%d)", i), func(s album.Service) string {
			got, err := s.Get(ctx, i)
			return fmt.Sprint(timeless([]album.Album{got}), code(err))
		}
	case 8:
		return fmt.Sprintf("Stream(%+v)", q.Filter), func(s album.Service) string {
			var all []album.Album
			var last error
			for a, err := range s.Stream(ctx, q.Filter) {
				if last = err; err == nil {
					all = append(all, a)
				}
			}
			return fmt.Sprint(timeless(all), code(last))
		}
	default:
		return fmt.Sprintf("List(%+v)", q), func(s album.Service) string {
			p, err := s.List(ctx, q)
			return fmt.Sprint(timeless(p.Albums), p.Next, code(err))
		}
	}
}

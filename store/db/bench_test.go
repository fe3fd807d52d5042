package db

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

const million = 1_000_000

// filled returns a service with a million albums. It is made once for each database.
func filled(b *testing.B, name string, s album.Service) album.Service {
	b.Helper()
	w := album.Write{Batch: true, Albums: make([]album.Album, album.MaxBatch)}
	for have := 0; have < million; have += album.MaxBatch {
		for i := range w.Albums {
			w.Albums[i] = albumtest.New(0)
			w.Albums[i].Artist = fmt.Sprint("Artist ", (have+i)%1000)
			w.Albums[i].Genre = "Rock"
		}
		if _, err := s.Create(b.Context(), w); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

var millions sync.Map // name of the database → album.Service

// A page of 100 of a million albums: the last takes no longer than the first.
//
//	go test ./store/db -run '^$' -bench Page -count 10 | benchstat -col /page -
func BenchmarkPage(b *testing.B) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		b.Run("db="+name, func(b *testing.B) {
			s, ok := millions.Load(name)
			if !ok {
				if name == "memory" {
					s = filled(b, name, album.NewMemory())
				} else {
					s = filled(b, name, benchStore(b, name))
				}
				millions.Store(name, s)
			}
			for _, page := range []struct {
				name  string
				query album.Query
			}{
				{"first", album.Query{}},
				{"last", album.Query{After: million - 100}},
				{"artist", album.Query{Filter: album.Filter{Artist: "Artist 999"}, After: million / 2}},
			} {
				page.query.Limit = 100
				b.Run("page="+page.name, func(b *testing.B) {
					for b.Loop() {
						p, err := s.(album.Service).List(b.Context(), page.query)
						if err != nil || len(p.Albums) < 90 {
							b.Fatal(len(p.Albums), err)
						}
					}
				})
			}
		})
	}
}

// benchStore is open for something that outlives the benchmark that makes it: the
// benchmarks of one database share a million albums.
func benchStore(b *testing.B, name string) *Store {
	b.Helper()
	url := "sqlite:" + benchDir + "/million.db"
	if name == "postgres" {
		url = server.New(b)
	}
	s, err := Open(Config{URL: url})
	if err == nil {
		_, err = s.Migrate(b.Context(), "up", discard)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// Ids that callers chose stand in the way of those that are assigned.
func BenchmarkCreate(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres"} {
		for _, n := range []int{1, 100, album.MaxBatch} {
			b.Run(fmt.Sprintf("db=%s/albums=%d", name, n), func(b *testing.B) {
				s := open(b, Config{URL: databases[name](b)})
				w := album.Write{Batch: n > 1, Albums: make([]album.Album, n)}
				for i := range w.Albums {
					w.Albums[i] = albumtest.New(0)
				}
				w.Albums[0].ID = math.MaxInt64
				if _, err := s.Create(b.Context(), w); err != nil {
					b.Fatal(err)
				}
				w.Albums[0].ID = 0
				for b.Loop() {
					if _, err := s.Create(b.Context(), w); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "albums/s")
			})
		}
	}
}

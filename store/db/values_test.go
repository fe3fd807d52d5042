package db

import (
	"reflect"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
)

// A batch of several statements stores each album once, with all its fields.
func TestRows(t *testing.T) {
	t.Parallel()
	for name, url := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, Config{URL: url(t)})
			w := album.Write{Batch: true, Albums: make([]album.Album, 2*rowsPerInsert+rowsPerInsert/2)}
			for i := range w.Albums {
				w.Albums[i] = albumtest.New(0)
				if i%2 == 0 {
					w.Albums[i].Genre, w.Albums[i].Year = "", 0
				}
				if i%3 == 0 {
					w.Albums[i].ID = int64(1_000_000 - i)
				}
			}
			created, err := s.Create(t.Context(), w)
			if err != nil || len(created.Albums) != len(w.Albums) {
				t.Fatal(len(created.Albums), err)
			}
			want := map[int64]album.Album{}
			for _, a := range created.Albums {
				want[a.ID] = a
			}
			n := 0
			for a, err := range s.Stream(t.Context(), album.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				if w, ok := want[a.ID]; ok {
					n++
					if !a.CreatedAt.Equal(w.CreatedAt) {
						t.Fatalf("created at %s, want %s", a.CreatedAt, w.CreatedAt)
					}
					if a.CreatedAt = w.CreatedAt; !reflect.DeepEqual(a, w) {
						t.Fatalf("%+v, want %+v", a, w)
					}
				}
			}
			if n != len(w.Albums) {
				t.Errorf("%d albums are stored, want %d", n, len(w.Albums))
			}
			if _, err := s.Create(t.Context(), w); err == nil {
				t.Error("the same ids are created again")
			}
		})
	}
}

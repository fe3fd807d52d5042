package fakealbum

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/golden"
)

// What a seed gives must never change: people refer to album i of a seed.
func TestGolden(t *testing.T) {
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	for _, i := range []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 1000, 50_000, 123_456, 9_999_999, 1 << 40, 1<<64 - 1} {
		if err := enc.Encode(New(1, i)); err != nil {
			t.Fatal(err)
		}
	}
	golden.Check(t, "testdata/seed1.ndjson", got.Bytes())
}

// Every album is valid, no two have the same title and artist, and all together look
// like a shop's.
func TestShop(t *testing.T) {
	t.Parallel()
	const n = 300_000
	pairs := make(map[[2]string]bool, n)
	byArtist, genreOf, years, genresOf := map[string]int{}, map[string]string{}, map[int]int{}, map[string]int{}
	cluster, beyond := 0, 0
	for i := range uint64(n) {
		a := New(2, i)
		if err := album.Validate(a); err != nil || a.ID != 0 {
			t.Fatalf("New(2, %d) = %+v: %v", i, a, err)
		}
		pair := [2]string{a.Title, a.Artist}
		if pairs[pair] {
			t.Fatalf("New(2, %d) = %+v is there already", i, a)
		}
		pairs[pair] = true
		if slices.ContainsFunc([]byte(a.Title+a.Artist), func(b byte) bool { return b >= 0x80 || b == '"' || b == '&' }) {
			beyond++
		} else {
			byArtist[a.Artist]++
			if g, ok := genreOf[a.Artist]; ok && g != a.Genre {
				t.Fatalf("%s made %s and %s", a.Artist, g, a.Genre)
			}
			genreOf[a.Artist] = a.Genre
		}
		i := slices.IndexFunc(genres, func(g genre) bool { return g.name == a.Genre })
		if i < 0 || a.Year < genres[i].from || a.Year > genres[i].to {
			t.Fatalf("%+v: not a year of that genre", a)
		}
		years[a.Year]++
		genresOf[a.Genre]++
		if a.Price%100 == 99 {
			cluster++
		}
	}
	if share := float64(beyond) / n; share < 0.045 || share > 0.055 {
		t.Errorf("%.1f%% have unusual characters, want about 5%%", 100*share)
	}
	if share := float64(cluster) / n; share < 0.78 || share > 0.83 {
		t.Errorf("%.1f%% of the prices end in .99, want about 80%%", 100*share)
	}
	if len(genresOf) != len(genres) || len(years) < 70 {
		t.Errorf("%d genres, %d years", len(genresOf), len(years))
	}
	// Few artists have many albums, many have one: each ten times more albums have
	// about a tenth of the artists.
	var counts []int
	for _, c := range byArtist {
		counts = append(counts, c)
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	one := len(counts) - slices.Index(counts, 1)
	if first := float64(counts[0]) / n; first < 0.018 || first > 0.026 || counts[0] < 10*counts[20] {
		t.Errorf("the first artists have %v of %d albums", counts[:30], n)
	}
	if share := float64(one) / float64(len(counts)); share < 0.70 || share > 0.95 {
		t.Errorf("%d of %d artists have one album", one, len(counts))
	}
}

// The titles of one artist, and the names of artists, are all different, as far as
// millions of albums need them.
func TestNoTwoTheSame(t *testing.T) {
	t.Parallel()
	c := Catalogue{Seed: 7}
	titles := map[string]bool{}
	for nth := range uint64(240_000) { // of the first artist among ten million albums
		title := c.title(3, nth)
		if titles[title] {
			t.Fatalf("title %d, %s, is there already", nth, title)
		}
		titles[title] = true
	}
	const million = 1_000_000
	names := make(map[string]uint64, million)
	for n := range uint64(million) {
		artist := n
		if n > million/2 { // and those of the last of ten million albums
			artist = 20_000_000 - n
		}
		name := c.name(artist)
		if other, ok := names[name]; ok {
			t.Fatalf("artists %d and %d are both called %s", other, artist, name)
		}
		names[name] = artist
	}
}

// The places of blocks are given to one album each.
func TestPlaces(t *testing.T) {
	t.Parallel()
	c := Catalogue{Seed: 3}
	seen := map[[2]uint64]bool{}
	for i := range uint64(200 * block) {
		artist, nth := c.place(i)
		if key := [2]uint64{artist, nth}; seen[key] {
			t.Fatalf("album %d is album %d of artist %d, which is there already", i, nth, artist)
		} else {
			seen[key] = true
		}
	}
}

func TestShuffle(t *testing.T) {
	t.Parallel()
	for _, size := range []uint64{1, 2, 3, 8, 98, 1000, 1001} {
		for key := range uint64(50) {
			var got []uint64
			for n := range size {
				got = append(got, shuffle(mix(key), n, size))
			}
			slices.Sort(got)
			if len(slices.Compact(got)) != int(size) || got[0] != 0 {
				t.Fatalf("size %d, key %d: not one to one", size, key)
			}
		}
	}
}

func TestUnicode(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for i := range uint64(1000) {
		a, plain := Catalogue{5, 1}.Album(i), Catalogue{5, 0}.Album(i)
		if a.Title == plain.Title && a.Artist == plain.Artist || a.Price != plain.Price || a.Genre != plain.Genre || a.Year != plain.Year {
			t.Fatalf("%+v, plain %+v", a, plain)
		}
		all.WriteString(a.Title + a.Artist)
	}
	for _, want := range []string{"&", `"`, "É", "東", "🎸", "ع", "Å", "Ñ"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%s is nowhere", want)
		}
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	const n = 1000
	var want, got [n]album.Album
	for i := range n {
		want[i] = New(3, uint64(i))
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := n - 1 - w; i >= 0; i -= 8 {
				got[i] = New(3, uint64(i))
			}
		})
	}
	wg.Wait()
	if got != want {
		t.Error("albums made backwards by 8 goroutines differ from those made in order")
	}
	if New(4, 0) == want[0] {
		t.Error("another seed gives the same album")
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		New(1, i)
	}
}

package fakealbum

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"sync"
	"testing"

	"soundcheck/internal/album"
)

var update = flag.Bool("update", false, "rewrite testdata")

// What a seed gives must never change: people refer to album i of a seed.
func TestGolden(t *testing.T) {
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	for i := range uint64(20) {
		if err := enc.Encode(New(1, i)); err != nil {
			t.Fatal(err)
		}
	}
	const path = "testdata/seed1.ndjson"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("albums of seed 1 are\n%s, want\n%s", got.Bytes(), want)
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	titles := map[string]bool{}
	const n = 100_000
	cluster := 0 // prices that end in .99
	for i := range uint64(n) {
		a := New(2, i)
		if err := album.Validate(a); err != nil {
			t.Fatalf("New(2, %d) = %+v: %v", i, a, err)
		}
		if a.ID != 0 {
			t.Fatalf("New(2, %d) has id %d", i, a.ID)
		}
		titles[a.Title] = true
		if a.Price%100 == 99 {
			cluster++
		}
	}
	if len(titles) < n/10 {
		t.Errorf("%d different titles in %d albums, want %d at least", len(titles), n, n/10)
	}
	if share := float64(cluster) / n; share < 0.75 || share > 0.85 {
		t.Errorf("%.0f%% of prices end in .99, want about 80%%", 100*share)
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

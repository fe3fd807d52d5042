package telemetry

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	w := newWriter(&got)
	const writers, each = 8, 5000
	line := bytes.Repeat([]byte("x"), 100)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				fmt.Fprintf(w, "%d %d %s\n", i, n, line)
			}
		})
	}
	wg.Wait()
	w.end()
	fmt.Fprintln(w, "after the end")
	next := [writers]int{}
	lines := bytes.Split(got.Bytes(), []byte("\n"))
	if len(lines) != writers*each+2 || string(lines[writers*each]) != "after the end" {
		t.Fatalf("%d lines, the last is %q", len(lines), lines[len(lines)-2])
	}
	for _, l := range lines[:writers*each] {
		var i, n int
		if _, err := fmt.Sscanf(string(l), "%d %d", &i, &n); err != nil || next[i] != n || !bytes.HasSuffix(l, line) {
			t.Fatalf("line %q of writer %d comes when %d is next: %v", l, i, next[i], err)
		}
		next[i]++
	}
}

// Lines that are written while the end comes are written all the same.
func TestWriterEnds(t *testing.T) {
	t.Parallel()
	for range 200 {
		var got bytes.Buffer
		w := newWriter(&got)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					fmt.Fprintln(w, "line")
				}
			})
		}
		w.end()
		wg.Wait()
		w.mu.Lock()
		n := bytes.Count(got.Bytes(), []byte("line\n"))
		w.mu.Unlock()
		if n != 80 {
			t.Fatalf("%d lines, want 80", n)
		}
	}
}

package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// grow is a text of requests with at least n bytes.
func grow(service string, n int) string {
	one := request(service, record(1, 9, strings.Repeat("x", 500), ""))
	return strings.Repeat(one, n/len(one)+1)
}

// The names are those of both ends of each file, and of the last MiB of what was appended since the look
// before. A file that replaces another one has only its own.
func TestOTLPServices(t *testing.T) {
	dir := t.TempDir()
	current := filepath.Join(dir, otlpName)
	text := grow("first", servicesWithin) + request("middle", record(1, 9, "x", "")) + grow("last", 2*servicesWithin)
	for _, step := range []struct{ more, want string }{
		{text, "first last"},
		{request("new", record(1, 9, "x", "")), "first last new"},
		{grow("much", 2*servicesWithin), "first last much new"},
		{"{", "first last much new"}, // not complete
	} {
		write(t, dir, otlpName, step.more)
		for range 2 {
			if got := read(t, dir, Query{Limit: 1}).Services; strings.Join(got, " ") != step.want {
				t.Errorf("services %v, want %s", got, step.want)
			}
		}
	}
	if err := os.Rename(current, filepath.Join(dir, "otlp-2026-05-04T10-00-02.000.jsonl")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, otlpName, request("other", record(1, 9, "x", "")))
	if got := read(t, dir, Query{Limit: 1}).Services; strings.Join(got, " ") != "first last much new other" {
		t.Errorf("services after a rotation: %v", got)
	}
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	write(t, dir, otlpName, request("third", record(1, 9, "x", "")))
	if got := read(t, dir, Query{Limit: 1}).Services; slices.Contains(got, "other") || !slices.Contains(got, "third") {
		t.Errorf("services after the file was replaced: %v", got)
	}
}

// BenchmarkFollow measures a poll of the logs page that finds nothing new in the Collector's four files.
func BenchmarkFollow(b *testing.B) {
	dir := b.TempDir()
	text := grow("store", 8<<20)
	for n := range 3 {
		write(b, dir, fmt.Sprintf("otlp-%d.jsonl", n), request(fmt.Sprint("service-", n)), text)
	}
	write(b, dir, otlpName, text)
	p, err := Read(b.Context(), dir, Query{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Read(b.Context(), dir, Query{Limit: 200, After: p.Newest}); err != nil {
			b.Fatal(err)
		}
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// Run again, nothing is created twice, however the albums are sent. What was sent in other
// batches is refused.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, album.NewMemory())
	for _, tt := range []struct {
		args string
		want string
		code int
	}{
		{"-n 100", "created        100 of 100", 0},
		{"-n 150", "created        50 of 150", 0},
		{"-n 100", "already there  100: an earlier request created them\n", 0},
		{"-n 100 -unicode 0.5", "created        100 of 100", 0}, // other albums
		{"-n 100 -batch 10", "  100 × this Idempotency-Key was used with another request: an earlier run has sent these albums with another -n, -batch or -async", 1},
		{"-from 1000 -n 95 -batch 10", "created        95 of 95", 0},
		{"-from 1000 -n 95 -batch 10", "already there  95:", 0},
		{"-from 1020 -n 75 -batch 10", "already there  75:", 0},
		{"-from 1000 -n 95 -batch 10 -async", "  95 × this Idempotency-Key was used with another request", 1},
		{"-from 2000 -n 95 -batch 10 -async", "created        95 of 95", 0},
		{"-from 2000 -n 95 -batch 10 -async", "already there  95:", 0},
		{"-from 3000 -n 10 -async", "created        10 of 10", 0},
	} {
		stdout, stderr, code := datagen(t.Context(), append(strings.Fields(tt.args), "-url", tg.URL)...)
		if code != tt.code || !strings.Contains(stdout, tt.want) {
			t.Errorf("datagen %s: exit code %d\n%s%s, want %d, %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
	if n := len(tg.created(t)); n != 150+100+95+95+10 {
		t.Errorf("%d albums are there", n)
	}
}

// Every way to be broken is rejected as it says, and the others are created.
func TestInvalid(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, album.NewMemory())
	for _, batch := range []string{"1", "50"} {
		stdout, stderr, code := datagen(t.Context(), "-n", "500", "-seed", batch, "-invalid", "0.4", "-verify", "-batch", batch, "-format", "json", "-url", tg.URL)
		var s struct {
			Albums, Created, Rejected, Failed int
			Verified                          struct{ Albums, Once int }
		}
		if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != 0 {
			t.Fatalf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
		}
		if s.Albums != 500 || s.Created+s.Rejected != 500 || s.Rejected < 150 || s.Rejected > 250 || s.Verified.Once != s.Created || s.Verified.Albums != s.Created {
			t.Errorf("%+v, want some 200 rejected and the rest there", s)
		}
	}
	ways := map[string]bool{}
	for i := range uint64(500) {
		if b, broken := (fakealbum.Catalogue{Seed: 1, Unicode: fakealbum.Unicode}).Broken(i, 0.4); broken {
			ways[b.What] = true
		}
	}
	if len(ways) < 19 {
		t.Errorf("500 albums are broken in %d ways only", len(ways))
	}
}

// A file is sent as it is. What is no album in it is named, and nothing is sent before it
// is mended or left out.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := func(base, content string) string {
		name := filepath.Join(dir, base)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const (
		good  = `{"title":"Naima","artist":"John Coltrane","price":9.99}` + "\n"
		other = `{"title":"Giant Steps","artist":"John Coltrane","price":9.99,"year":1960}` + "\n"
		bad   = `{"title":"Naima","artist":"John Coltrane"}` + "\n"
	)
	made := filepath.Join(dir, "made.csv.gz")
	if _, stderr, code := datagen(t.Context(), "-n", "1500", "-o", made); code != 0 {
		t.Fatal(stderr)
	}
	b, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	cut := name("cut.csv.gz", string(b[:len(b)/2]))
	mixed := name("mixed.ndjson", good+bad+other)
	for _, tt := range []struct {
		name, stdin, args string
		code, kept        int // that are there afterwards
		stdout, stderr    string
	}{
		{"gzip", "", "-batch 100 -verify -i " + made, 0, 1500, "each of 1500 albums is there once, unchanged; 0 others", ""},
		{"a part", "", "-from 100 -n 50 -verify -i " + made, 0, 50, "created        50 of 50", ""},
		{"beyond its end", "", "-from 1500 -i " + made, 1, 0, "", "made.csv.gz: it has 1500 albums, and -from is 1500\nnothing was sent\n"},
		{"cut off", "", "-i " + cut, 1, 0, "", "unexpected EOF\nnothing was sent\n"},
		{"not there", "", "-i " + filepath.Join(dir, "none.csv"), 1, 0, "", "no such file or directory\nnothing was sent\n"},
		{"no gzip", "", "-i " + name("plain.csv.gz", "title,artist,price\n"), 1, 0, "", "gzip: invalid header\nnothing was sent\n"},
		{"bad", "", "-i " + mixed, 1, 0, "", "mixed.ndjson: line 2: invalid: price: below minimum value\nnothing was sent; -skip-bad leaves out what is no album\n"},
		{"skipped", "", "-skip-bad -verify -i " + mixed, 0, 2, "\nskipped        1: they are no albums\nfailed         0\nverified       each of 2 albums", "mixed.ndjson: line 2: invalid: price: below minimum value: left out\n"},
		{"stdin", good + other, "-verify -i -", 0, 2, "created        2 albums in ", ""},
		{"bad stdin", good + bad + other, "-i -", 1, 1, "created        1 albums in ", "datagen: -i -: line 2: invalid: price: below minimum value\n1 of the albums that were read are there; -skip-bad leaves out what is no album\n"},
		{"skipped in stdin", good + bad + other, "-skip-bad -i -", 0, 2, "created        2 albums in ", "line 2: invalid: price: below minimum value: left out\n"},
		{"the same album twice", good + good, "-verify -i -", 0, 2, "each of 2 albums is there once", ""},
		{"an array", "", "-i " + name("a.json", "["+good+","+other+"]"), 0, 2, "created        2 of 2", ""},
		{"ids", "", "-i " + name("ids.csv", "id,title,artist,price\n77,Naima,John Coltrane,9.99\n77,Naima,John Coltrane,9.99\n"), 1, 1, "1 × an album with this id exists", "1 of 2 albums were not created"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tg := newTarget(t, album.NewMemory())
			args := append(strings.Fields(tt.args), "-url", tg.URL)
			stdout, stderr, code := datagenFrom(t.Context(), tt.stdin, args...)
			if n := len(tg.created(t)); code != tt.code || n != tt.kept {
				t.Errorf("exit code %d with %d albums, want %d with %d", code, n, tt.code, tt.kept)
			}
			if !strings.Contains(stdout, tt.stdout) || (tt.stdout == "") != (stdout == "") || !strings.Contains(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") {
				t.Errorf("stdout %q, stderr %q, want %q, %q", stdout, stderr, tt.stdout, tt.stderr)
			}
			if tt.code != 0 {
				return
			}
			if stdout, stderr, code = datagenFrom(t.Context(), tt.stdin, args...); code != 0 || len(tg.created(t)) != tt.kept || !strings.Contains(stdout, fmt.Sprintf("already there  %d:", tt.kept)) {
				t.Errorf("again: exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

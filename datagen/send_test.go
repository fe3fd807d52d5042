package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"soundcheck/internal/album"
)

// A rerun creates no album twice, however the albums are sent. Albums of other batches are
// rejected.
func TestRerun(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, album.NewMemory())
	for _, tt := range []struct {
		args string
		want string
		code int
	}{
		{"-n 100", "created        100 of 100", 0},
		{"-n 150", "created        50 of 150", 0},
		{"-n 100", "already there  100: created by an earlier request, of this run or another\n", 0},
		{"-n 100 -unicode 0.5", "created        100 of 100", 0}, // other albums
		{"-n 100 -batch 10", "  100 × this Idempotency-Key was used with another request: an earlier run sent this album in another request, with another -n, -batch, -async or -invalid; use the same flags, or another -seed or -from", 1},
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

// Each kind of invalid album is rejected as expected, and the others are created.
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
}

// A file is sent unchanged. Invalid lines are reported, and nothing is sent unless they are
// fixed or skipped.
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
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, strings.Repeat(good, 1000)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	cutNDJSON := name("cut.ndjson.gz", zipped.String()[:zipped.Len()-9])
	pipe := filepath.Join(dir, "pipe.ndjson")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	mixed := name("mixed.ndjson", good+bad+other)
	for _, tt := range []struct {
		name, stdin, args string
		code, kept        int // that are there afterwards
		stdout, stderr    string
	}{
		{"gzip", "", "-batch 100 -verify -i " + made, 0, 1500, "each of 1500 albums is stored once, unchanged; 0 other albums", ""},
		{"a part", "", "-from 100 -n 50 -verify -i " + made, 0, 50, "created        50 of 50", ""},
		{"beyond its end", "", "-from 1500 -i " + made, 1, 0, "", "made.csv.gz: it has 1500 albums, and -from is 1500\nnothing was sent\n"},
		{"cut off", "", "-i " + cut, 1, 0, "", "unexpected EOF\nnothing was sent\n"},
		{"not there", "", "-i " + filepath.Join(dir, "none.csv"), 1, 0, "", "no such file or directory\nnothing was sent\n"},
		{"no gzip", "", "-i " + name("plain.csv.gz", "title,artist,price\n"), 1, 0, "", "gzip: invalid header\nnothing was sent\n"},
		{"bad", "", "-i " + mixed, 1, 0, "", "mixed.ndjson: line 2: invalid: price: required field\nnothing was sent; -skip-bad skips invalid lines\n"},
		{"skipped", "", "-skip-bad -verify -i " + mixed, 0, 2, "\nskipped        1: invalid lines\nfailed         0\nverified       each of 2 albums", "mixed.ndjson: line 2: invalid: price: required field: skipped\n"},
		{"stdin", good + other, "-verify -i -", 0, 2, "created        2 albums in ", ""},
		{"bad stdin", good + bad + other, "-i -", 1, 1, "created        1 albums in ", "datagen: -i -: line 2: invalid: price: required field\n1 of the albums that were read are stored; -skip-bad skips invalid lines\n"},
		{"nothing left", "", "-skip-bad -i " + name("bad.ndjson", bad+bad), 1, 0, "", "bad.ndjson: no valid album from album 0 on: 2 skipped\nnothing was sent\n"},
		{"nothing left of a part", "", "-skip-bad -from 1 -i " + name("part.ndjson", good+bad), 1, 0, "", "part.ndjson: no valid album from album 1 on: 1 skipped\nnothing was sent\n"},
		{"nothing left in stdin", bad, "-skip-bad -i -", 1, 0, "created        0 albums", "-i -: no valid album from album 0 on: 1 skipped\n0 of the albums that were read are stored\n"},
		{"quote in CSV", "", "-skip-bad -i " + name("quote.csv", "title,artist,price\nBlue Train,John Coltrane,1\nThe 12\" Mixes,X,3.50\nNaima,John Coltrane,1\n"), 0, 2, "\nskipped        1:", "quote.csv: line 3: bare \" in non-quoted-field in column 7: skipped\n"},
		{"Latin-1", "", "-i " + name("latin1.ndjson", good+"{\"title\":\"Caf\xe9\",\"artist\":\"ab\",\"price\":1}\n"), 1, 0, "", "latin1.ndjson: line 2: invalid: it is not valid UTF-8: byte 0xe9 at offset 13\nnothing was sent; -skip-bad skips invalid lines\n"},
		{"cut NDJSON", "", "-skip-bad -i " + cutNDJSON, 1, 0, "", "unexpected EOF\nnothing was sent\n"},
		{"skipped in stdin", good + bad + other, "-skip-bad -i -", 0, 2, "created        2 albums in ", "line 2: invalid: price: required field: skipped\n"},
		{"the same album twice", good + good, "-verify -i -", 0, 2, "each of 2 albums is stored once", ""},
		{"an array", "", "-i " + name("a.json", "["+good+","+other+"]"), 0, 2, "created        2 of 2", ""},
		{"empty", "", "-i " + name("empty.ndjson", "\n"), 1, 0, "", "empty.ndjson: it has no albums\nnothing was sent\n"},
		{"too few", "", "-n 3 -i " + name("few.ndjson", good+other), 1, 0, "", "few.ndjson: it has 2 albums from album 0 on, and -n is 3\nnothing was sent\n"},
		{"too few in stdin", good + other, "-n 3 -i -", 1, 2, "created        2 of 3", "-i -: it has 2 albums from album 0 on, and -n is 3\n2 of 3 albums are stored\n"},
		{"no file", "", "-i " + pipe, 1, 0, "", "pipe.ndjson is not a regular file: use -i - for a pipe\nnothing was sent\n"},
		{"ids", "", "-i " + name("ids.csv", "id,title,artist,price\n77,Naima,John Coltrane,9.99\n77,Naima,John Coltrane,8.99\n"), 1, 1, "1 × an album with this id exists", "datagen: 1 albums failed\n"},
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

// What was bad in a file has its number, so that the others keep theirs when it is mended.
func TestFixedFile(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, album.NewMemory())
	name := filepath.Join(t.TempDir(), "albums.csv")
	for _, tt := range []struct{ second, want string }{{"0", "created        2 of 2"}, {"1.50", "created        1 of 3"}} {
		if err := os.WriteFile(name, []byte("title,artist,price\nNaima,John Coltrane,1\nEquinox,John Coltrane,"+tt.second+"\nCrescent,John Coltrane,3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := datagen(t.Context(), "-i", name, "-skip-bad", "-verify", "-url", tg.URL)
		if code != 0 || !strings.HasPrefix(stdout, tt.want) {
			t.Errorf("exit code %d, want 0 and %q\n%s%s", code, tt.want, stdout, stderr)
		}
	}
}

// A pipe without a writer does not block the end of a run.
func TestInterruptedPipe(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	memory := album.NewMemory()
	tg := newTarget(t, service{memory, func(ctx context.Context, w album.Write) (album.Created, error) {
		defer cancel()
		return memory.Create(ctx, w)
	}})
	go fmt.Fprintln(w, `{"title":"Naima","artist":"John Coltrane","price":9.99}`)
	var out, errs bytes.Buffer
	err := run(ctx, []string{"-i", "-", "-url", tg.URL}, func(string) string { return "" }, r, &out, &errs)
	// None on a machine so busy that the response does not arrive in time.
	n := strings.Count(out.String(), "created        1 albums in ")
	if want := fmt.Sprintf("interrupted: %d of the albums that were read are stored; resume with the same flags and -from %d", n, n); err == nil || err.Error() != want {
		t.Errorf("run = %v, want %s\n%s", err, want, &out)
	}
}

// A full store aborts the run. When the store has space again, a rerun creates the rest.
func TestFull(t *testing.T) {
	t.Parallel()
	memory := album.NewMemory()
	memory.Max = 50
	tg := newTarget(t, memory)
	stdout, stderr, code := datagen(t.Context(), "-n", "1000000", "-url", tg.URL)
	if n := tg.requests(); code != 1 || n > 100 || !strings.Contains(stderr, "datagen: aborted: album store is full\n50 of 1000000 albums are stored; resume with the same flags and -from ") {
		t.Errorf("exit code %d after %d requests\n%s%s", code, n, stdout, stderr)
	}
	again := album.NewMemory()
	again.Max = 50
	tg = newTarget(t, again)
	args := []string{"-n", "60", "-async", "-concurrency", "1", "-url", tg.URL}
	if stdout, stderr, code = datagen(t.Context(), args...); code != 1 || !strings.Contains(stdout, "\n  10 × an operation failed: album store is full") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	for id := range int64(20) {
		if err := again.Delete(t.Context(), id+1); err != nil {
			t.Fatal(err)
		}
	}
	if stdout, stderr, code = datagen(t.Context(), args...); code != 0 || !strings.HasPrefix(stdout, "created        10 of 60") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	_ "modernc.org/sqlite"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

var update = flag.Bool("update", false, "rewrite testdata")

func made(n uint64) Albums {
	return Albums{N: n, Make: func(i uint64) album.Album { return fakealbum.Catalogue{Seed: 1, Unicode: 0.5}.Album(i) }}
}

// awkward are texts that each format has to escape in its own way.
var awkward = []album.Album{
	{Title: `a "quoted", 'quoted' title`, Artist: "comma, semicolon; tab\tnew\nline\r\\N", Price: 1},
	{Title: "東京 🎸 عودة", Artist: "<b>&amp;", Price: 100_000_0, Genre: "it's", Year: 1999},
	{Title: `\.`, Artist: "--; DROP TABLE albums", Price: 199, Genre: "\\", Year: 2100},
}

func awkwardAlbums() Albums {
	return Albums{N: uint64(len(awkward)), Make: func(n uint64) album.Album { return awkward[n] }}
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, f := range []Format{NDJSON, JSON, CSV, SQLite, Postgres} {
		for name, a := range map[string]Albums{"made": made(10), "awkward": awkwardAlbums(), "none": made(0)} {
			var got bytes.Buffer
			if err := Write(t.Context(), &got, f, a); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+"."+string(f))
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s is\n%s, want\n%s%v", path, got.Bytes(), want, err)
			}
		}
	}
}

// What is written is read again, to the last character; also by parts that are made side
// by side.
func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	for _, f := range []Format{NDJSON, JSON, CSV} {
		for _, a := range []Albums{made(3*inOneChunk + 17), made(inOneChunk), made(1), made(0), awkwardAlbums()} {
			var b bytes.Buffer
			var last uint64
			a.Progress = func(n uint64) { last = n }
			if err := Write(t.Context(), &b, f, a); err != nil || last != a.N {
				t.Fatalf("%s: %d of %d, %v", f, last, a.N, err)
			}
			n := uint64(0)
			for got, err := range Read(&b, f) {
				want := a.Make(n)
				if f == CSV {
					want.Artist = strings.ReplaceAll(want.Artist, "\r\n", "\n") // as CSV readers do
				}
				if err != nil || got != want {
					t.Fatalf("%s, album %d: %+v, %v, want %+v", f, n, got, err, want)
				}
				n++
			}
			if n != a.N {
				t.Errorf("%s: %d albums, want %d", f, n, a.N)
			}
		}
	}
}

// SQLite takes its file, with every character.
func TestSQLite(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE albums (id INTEGER PRIMARY KEY, title TEXT NOT NULL, artist TEXT NOT NULL, price_cents INTEGER NOT NULL, genre TEXT, year INTEGER, created_at INTEGER NOT NULL) STRICT`); err != nil {
		t.Fatal(err)
	}
	want := awkward
	for i := range uint64(2 * inOneInsert) {
		want = append(want, fakealbum.New(9, i))
	}
	var b bytes.Buffer
	if err := Write(t.Context(), &b, SQLite, Albums{N: uint64(len(want)), Make: func(n uint64) album.Album { return want[n] }}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(b.String()); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT title, artist, price_cents, coalesce(genre, ''), coalesce(year, 0) FROM albums ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var a album.Album
		if err := rows.Scan(&a.Title, &a.Artist, &a.Price, &a.Genre, &a.Year); err != nil || a != want[n] {
			t.Fatalf("row %d: %+v, %v, want %+v", n, a, err, want[n])
		}
	}
	if n != len(want) || rows.Err() != nil {
		t.Errorf("%d rows, want %d, %v", n, len(want), rows.Err())
	}
}

// Each line that is wrong is named, with what is wrong with it, and the others are read.
func TestBadLines(t *testing.T) {
	t.Parallel()
	const good = `{"title":"Blue Train","artist":"John Coltrane","price":56.99}`
	for _, tt := range []struct {
		f    Format
		in   string
		want string // ok for each album, else the error
	}{
		{NDJSON, good + "\n\n" + good, "ok ok"},
		{NDJSON, good + "\n{\"title\":\"x\"}\n" + good, "ok [line 2: invalid: title: below minimum value; artist: required field; price: below minimum value] ok"},
		{NDJSON, "nonsense\n" + good + " x", "[line 1: invalid character 'o' in literal null (expecting 'u')] [line 2: something stands behind the album]"},
		{NDJSON, `{"titel":"x"}`, `[line 1: unknown field "titel"]`},
		{NDJSON, `{"title":5}`, "[line 1: title must not be a number]"},
		{NDJSON, `{"title":"Blue","artist":"John","price":1,"created_at":"2020-01-01T00:00:00Z"}`, "[line 1: created_at is the store's to set]"},
		{NDJSON, good + "\n" + strings.Repeat("x", maxLine+1), "ok [line 2: it is longer than 1048576 bytes]"},
		{JSON, "[" + good + ", 5," + good + "]", "ok [album 2: album must not be a number] ok"},
		{JSON, "[" + good + `,{"price":-1}]`, "ok [album 2: invalid: title: required field; artist: required field; price: below minimum value]"},
		{JSON, good, "[the file is not one JSON array]"},
		{JSON, "", "[the file is empty]"},
		{JSON, "[" + good, "ok [the array has no end: EOF]"},
		{JSON, "[" + good + "] x", "ok [something stands behind the array]"},
		{JSON, "[" + good + ",]", "ok [album 2: invalid character ']' looking for beginning of value]"},
		{CSV, "title,artist,price\nBlue Train,John Coltrane,56.99\n", "ok"},
		{CSV, "\ufeffPrice,Title,Artist,Genre,Year,ID\n1,\"Blue\nTrain\",John,,,\n1,Blue,John,Jazz,1958,7\n", "ok ok"},
		{CSV, "title,artist,price\nBlue Train,John Coltrane\nBlue Train,John Coltrane,dear\nx,y,0\nBlue Train,John Coltrane,1\n",
			"[line 2: 2 fields, the header has 3] [line 3: price \"dear\" must be a number] [line 4: invalid: title: below minimum value; artist: below minimum value; price: below minimum value] ok"},
		{CSV, "title,artist,price,year\nBlue,John,1,soon\n", `[line 2: year "soon" is not a whole number]`},
		{CSV, "title,artist\n", "[line 1: the column price is missing]"},
		{CSV, "title,artist,price,title\n", "[line 1: the column title is there twice]"},
		{CSV, "title,artist,price,colour\n", `[line 1: there is no column "colour"; there are id, title, artist, price, genre, year]`},
		{CSV, "", "[the file has no header]"},
		{CSV, "title,artist,price\n\"Blue,John,1\n", `[line 2: extraneous or missing " in quoted-field: the rest cannot be read]`},
		{SQLite, "", "[a .sql file cannot be read: it is for a database]"},
	} {
		var got []string
		for _, err := range Read(strings.NewReader(tt.in), tt.f) {
			if err == nil {
				got = append(got, "ok")
			} else {
				got = append(got, "["+err.Error()+"]")
			}
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s %.80q:\n%s, want\n%s", tt.f, tt.in, text, tt.want)
		}
	}
	// Whoever has enough is told no more.
	for range Read(strings.NewReader(good+"\n"+good), NDJSON) {
		break
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"-": "ndjson false <nil>", "a.ndjson": "ndjson false <nil>", "a.JSONL.gz": "ndjson true <nil>", "x/a.json": "json false <nil>", "a.csv.gz": "csv true <nil>",
		"a.sql": "postgres false <nil>", "a.txt": " false a.txt ends in none of .ndjson, .json, .csv and .sql, with .gz or without",
	} {
		f, z, err := Named(name, Postgres)
		if got := fmt.Sprint(f, " ", z, " ", err); got != want {
			t.Errorf("Named(%s) = %s, want %s", name, got, want)
		}
	}
}

// A file is there when all of it is, and not before.
func TestCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "albums.ndjson.gz")
	if err := Create(t.Context(), name, NDJSON, true, made(5000), nil); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	var want bytes.Buffer
	if err := errors.Join(err, Write(t.Context(), &want, NDJSON, made(5000))); err != nil || !bytes.Equal(b, want.Bytes()) {
		t.Errorf("%d bytes, %v, want %d", len(b), err, want.Len())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	long := made(1 << 40)
	long.Progress = func(uint64) { cancel(errors.New("enough")) }
	for _, other := range []string{"stopped.csv", "stopped.ndjson"} {
		if err := Create(ctx, filepath.Join(dir, other), CSV, false, long, nil); err == nil || err.Error() != "enough" {
			t.Errorf("stopped: %v", err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v, want one file", list, err)
	}
	if err := os.WriteFile(name+".part", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), name, NDJSON, true, made(1), nil); err == nil || !strings.Contains(err.Error(), ".part is there") {
		t.Errorf("beside another: %v", err)
	}
	if err := Write(t.Context(), full{}, NDJSON, made(10_000)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	var out bytes.Buffer
	if err := Create(t.Context(), "-", NDJSON, false, made(3), &out); err != nil || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("stdout: %q, %v", out.String(), err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func FuzzRead(f *testing.F) {
	formats := []Format{NDJSON, JSON, CSV}
	for i, format := range formats {
		var b bytes.Buffer
		if err := Write(context.Background(), &b, format, awkwardAlbums()); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b.Bytes())
	}
	f.Fuzz(func(t *testing.T, kind uint8, in []byte) {
		format := formats[int(kind)%len(formats)]
		var read []album.Album
		for a, err := range Read(bytes.NewReader(in), format) {
			if err != nil {
				continue
			}
			if err := album.Validate(a); err != nil {
				t.Errorf("%+v: %v", a, err)
			}
			a.ID = 0 // is not written
			read = append(read, a)
		}
		// What was read can be written, and is the same when it is read again. Only what no
		// JSON text can say (bytes that are not UTF-8) and \r\n in CSV become something else.
		if format == CSV || !utf8.Valid(in) {
			return
		}
		var b bytes.Buffer
		if err := Write(t.Context(), &b, format, Albums{N: uint64(len(read)), Make: func(n uint64) album.Album { return read[n] }}); err != nil {
			t.Fatal(err)
		}
		n := 0
		for a, err := range Read(&b, format) {
			if err != nil || a != read[n] {
				t.Fatalf("album %d is %+v, %v, want %+v", n, a, err, read[n])
			}
			n++
		}
		if n != len(read) {
			t.Errorf("%d albums, want %d", n, len(read))
		}
	})
}

func BenchmarkWriteNDJSON(b *testing.B) {
	c := fakealbum.Catalogue{Seed: 1, Unicode: fakealbum.Unicode}
	if err := Write(b.Context(), io.Discard, NDJSON, Albums{N: uint64(b.N), Make: c.Album}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "albums/s")
}

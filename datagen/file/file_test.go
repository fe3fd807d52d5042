package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	_ "modernc.org/sqlite"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
	"soundcheck/internal/golden"
)

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
			golden.Check(t, filepath.Join("testdata", name+"."+string(f)), got.Bytes())
		}
	}
}

// Reading a written file gives the same albums, also if its parts were built in parallel.
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

// Each invalid line is reported with the reason, and the others are read.
func TestBadLines(t *testing.T) {
	t.Parallel()
	const good = `{"title":"Blue Train","artist":"John Coltrane","price":56.99}`
	for _, tt := range []struct {
		f    Format
		in   string
		want string // ok for each album, else the error
	}{
		{NDJSON, good + "\n\n" + good, "ok ok"},
		{NDJSON, good + "\n{\"title\":\"x\"}\n" + good, "ok [line 2: invalid: artist: required field; price: required field; title: shorter than 2 characters] ok"},
		{NDJSON, "nonsense\n" + good + " x", "[line 1: invalid: it must be one JSON object: invalid character 'o' in literal null (expecting 'u')] [line 2: invalid: it must be one JSON object: invalid character 'x' after top-level value]"},
		{NDJSON, `{"titel":"x","title":"ab","artist":"ab","price":1}`, `[line 1: invalid: titel: unknown field]`},
		{NDJSON, `{"title":5,"artist":"ab","price":1}`, "[line 1: invalid: title: must be a string]"},
		{NDJSON, `{"TITLE":"ab","artist":"ab","price":1}`, "[line 1: invalid: TITLE: unknown field; title: required field]"},
		{NDJSON, `{"title":"ab","title":"cd","artist":"ab","price":1}`, "[line 1: invalid: title: duplicate field]"},
		{NDJSON, `{"title":"\ud800a","artist":"ab","price":1}`, "[line 1: invalid: title: must be valid Unicode]"},
		{NDJSON, `{"title":"a\u0000b","artist":"ab","price":1}`, "[line 1: invalid: title: must not contain the NUL character]"},
		{NDJSON, `{"id":0,"title":"ab","artist":"ab","price":1,"year":0}`, "[line 1: invalid: id: below minimum value; year: below minimum value]"},
		{NDJSON, `{"id":7,"title":"Blue","artist":"John","price":1,"created_at":"2020-01-01T00:00:00.123456Z"}`, "ok"},
		{NDJSON, `{"title":"Blue","artist":"John","price":1,"created_at":"yesterday"}`, "[line 1: invalid: created_at: must be a date and time (RFC 3339)]"},
		{NDJSON, "\ufeff" + good + "\r\n\r\n" + good, "ok ok"},
		{NDJSON, good + "\n\ufeff" + good + "\n" + good, "ok [line 2: invalid: it begins with a byte order mark (RFC 8259, 8.1)] ok"},
		{NDJSON, "\ufeff", ""},
		{NDJSON, "\xff\xfe{\x00", "[UTF-16 or binary file: convert it with iconv -f UTF-16 -t UTF-8]"},
		{NDJSON, "\xfe\xff\x00{", "[UTF-16 or binary file: convert it with iconv -f UTF-16 -t UTF-8]"},
		{NDJSON, "{\x00\"\x00", "[UTF-16 or binary file: convert it with iconv -f UTF-16 -t UTF-8]"},
		{NDJSON, "\x1f\x8b\x08", "[gzip data: the name must end in .gz; decompress stdin]"},
		{NDJSON, good + "\n{\"title\":\"Caf\xe9\",\"artist\":\"ab\",\"price\":1}\n" + good, "ok [line 2: invalid: it is not valid UTF-8: byte 0xe9 at offset 13] ok"},
		{NDJSON, good + "\n\x00\n" + good, "ok [line 2: invalid: it must be one JSON object: invalid character '\\x00' looking for beginning of value] ok"},
		{NDJSON, good + "\n" + strings.Repeat("x", maxLine+1), "ok [line 2: longer than 1048576 bytes]"},
		{NDJSON, strings.Repeat("x", 3*maxLine) + "\n" + good, "[line 1: longer than 1048576 bytes] ok"},
		{JSON, "[" + good + ", 5," + good + "]", "ok [album 2: invalid: it must be one JSON object: it is of the type number] ok"},
		{JSON, "\ufeff[" + good + `,{"price":-1}]` + "\r\n", "ok [album 2: invalid: artist: required field; price: below minimum value; title: required field]"},
		{JSON, "[{\"title\":\"Caf\xe9\",\"artist\":\"ab\",\"price\":1}," + good + "]", "[album 1: invalid: it is not valid UTF-8: byte 0xe9 at offset 13] ok"},
		{JSON, good, "[the file is not one JSON array]"},
		{JSON, "", "[the file is empty]"},
		{JSON, "[" + good, "ok [unterminated array: EOF]"},
		{JSON, "[" + good + "] x", "ok [data after the array]"},
		{JSON, "[" + good + ",]", "ok [album 2: invalid character ']' looking for beginning of value]"},
		{JSON, `["` + strings.Repeat("x", 2*maxLine) + `",` + good + "]", "[album 1: longer than 1048576 bytes] ok"},
		{JSON, `[` + good + `,"` + strings.Repeat("x", 3*maxItem), "ok [album 2: longer than 16777216 bytes]"},
		{CSV, "title,artist,price\nBlue Train,John Coltrane,56.99\n", "ok"},
		{CSV, "\ufeffPrice,Title,Artist,Genre,Year,ID,Created_At\r\n1,\"Blue\r\nTrain\",John,,,,\r\n\r\n1,Blue,John,Jazz,1958,7,2020-01-01T00:00:00Z", "ok ok"},
		{CSV, "title,artist,price,created_at\nBlue,John,1,yesterday\n", `[line 2: created_at "yesterday" is not a date and time (RFC 3339)]`},
		{CSV, "title,artist,price\nBlue Train,John Coltrane\nBlue Train,John Coltrane,dear\nx,y,0\nBlue Train,John Coltrane,1\n",
			"[line 2: 2 fields, the header has 3] [line 3: price \"dear\" must be a number] [line 4: invalid: title: shorter than 2 characters; artist: shorter than 2 characters; price: below minimum value] ok"},
		{CSV, "title,artist,price,year\nBlue,John,1,soon\nBlue,John,1,0\nBlue,John,0x10,\n",
			`[line 2: year "soon" is not one from 1860 to 2100] [line 3: year "0" is not one from 1860 to 2100] [line 4: price "0x10" must be a number]`},
		{CSV, "title,artist,price,id\nBlue,John,1,0\nBlue,John,1,1e3\n", `[line 2: id "0" is not a whole number from 1 on] [line 3: id "1e3" is not a whole number from 1 on]`},
		{CSV, "title,artist,price\nCaf\xe9,John,1\nBlue,Jo\xffhn,1\nBlue,Jo\x00hn,1\nBlue,John,1\n",
			`[line 2: title is not valid UTF-8: "Caf\xe9"] [line 3: artist is not valid UTF-8: "Jo\xffhn"] [line 4: invalid: artist: must not contain the NUL character] ok`},
		{CSV, "title,artist\n", "[line 1: missing column price]"},
		{CSV, "title,artist,price,title\n", "[line 1: duplicate column title]"},
		{CSV, "title,artist,price,colour\n", `[line 1: unknown column "colour"; columns: id, title, artist, price, genre, year, created_at]`},
		{CSV, "title,\"artist,price\nBlue,John,1\n", `[header: line 1: unbalanced quote: extraneous or missing " in quoted-field in column 13 of line 2]`},
		{CSV, "", "[the file has no header]"},
		{CSV, "\ufeff", "[the file has no header]"},
		// A quote that is out of place costs its line.
		{CSV, "title,artist,price\nBlue,John,1\nThe 12\" Mixes,X,3.50\nBlue,John,1\n", `ok [line 3: bare " in non-quoted-field in column 7] ok`},
		{CSV, "title,artist,price\n\"The 12\" Mixes\",X,3.50\nBlue,John,1\n", `[line 2: extraneous or missing " in quoted-field in column 8] ok`},
		{CSV, "title,artist,price\n\"Blue,John,1\n", `[line 2: extraneous or missing " in quoted-field in column 14]`},
		{CSV, "title,artist,price\n\r\n\n\"Blue,John,1\nBlue,John,2\n\nBlue,John,3", `[line 4: unbalanced quote: extraneous or missing " in quoted-field in column 12 of line 7] ok ok`},
		{CSV, "title,artist,price\n\"Blue,John,1\n\"Naima\",John,2\n\"Naima\",\"John\",3\n", `[line 2: unbalanced quote: extraneous or missing " in quoted-field in column 1 of line 3] ok ok`},
		{CSV, "title,artist,price\n\"Blue,John,1\n" + strings.Repeat("Naima,John Coltrane,2\n", 60_000), "[line 2: longer than 1048576 bytes]" + strings.Repeat(" ok", 60_000)},
		{CSV, "title,artist,price\n" + strings.Repeat("x", 2*maxLine) + ",John,1\nBlue,John,1\n", "[line 2: longer than 1048576 bytes] ok"},
		{CSV, "title,artist,price\nBlue,John,1\n\"" + strings.Repeat("x", 2*maxLine), "ok [line 3: longer than 1048576 bytes]"},
		{SQLite, "", "[cannot read a .sql file: it is for a database]"},
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
			t.Errorf("%s %.80q:\n%.2000s, want\n%.2000s", tt.f, tt.in, text, tt.want)
		}
	}
	// A consumer can stop early.
	for range Read(strings.NewReader(good+"\n"+good), NDJSON) {
		break
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"-": "ndjson false <nil>", "a.ndjson": "ndjson false <nil>", "a.JSONL.gz": "ndjson true <nil>", "x/a.json": "json false <nil>", "a.csv.gz": "csv true <nil>",
		"a.sql": "postgres false <nil>", "a.txt": " false unknown extension of a.txt: .ndjson, .json, .csv or .sql, with or without .gz",
	} {
		f, z, err := Named(name, Postgres)
		if got := fmt.Sprint(f, " ", z, " ", err); got != want {
			t.Errorf("Named(%s) = %s, want %s", name, got, want)
		}
	}
}

// A file appears when it is complete.
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
	if err := Create(t.Context(), name, NDJSON, true, made(1), nil); err == nil || err.Error() != name+" exists: delete it, or write to another file" {
		t.Errorf("over a file: %v", err)
	}
	if after, err := os.ReadFile(name); err != nil || len(after) < 5000 {
		t.Errorf("the file has %d bytes, %v", len(after), err)
	}
	if err := errors.Join(os.Remove(name), os.WriteFile(name+".part", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), name, NDJSON, true, made(1), nil); err == nil || !strings.Contains(err.Error(), ".part exists") {
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
	for _, in := range []string{"\ufeff{}", "\xff\xfe{\x00", "\x1f\x8b", "{\"id\":1,\"title\":\"ab\",\"artist\":\"ab\",\"price\":1,\"created_at\":\"2020-01-01T00:00:00Z\"}\r\n\xe9", "[{},{\"a\":1,\"a\":2}]x",
		"title,artist,price\n\"ab,cd,1\nab,cd,1\n12\",ab,1\r\n\"ab\",\"c\"\"d\",1", "id,title,artist,price,created_at\n\"1\nab,cd,\xff,1\n\n\"", "title,artist,price\n\"\n\"\n\"\"\"\n,\""} {
		for i := range formats {
			f.Add(uint8(i), []byte(in))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, in []byte) {
		format := formats[int(kind)%len(formats)]
		var read []album.Album
		last := error(nil)
		for a, err := range Read(bytes.NewReader(in), format) {
			if last != nil {
				t.Fatalf("after %v there is %+v, %v", last, a, err)
			}
			if err != nil {
				if bad := new(BadError); !errors.As(err, &bad) {
					last = err
				}
				continue
			}
			if err := album.Validate(a); err != nil {
				t.Errorf("%+v: %v", a, err)
			}
			a.ID = 0 // is not written
			read = append(read, a)
		}
		if n := bytes.Count(in, []byte("\n")) + 1; format != JSON && len(read) > n {
			t.Errorf("%d albums in %d lines", len(read), n)
		}
		// What was read can be written, and is the same when it is read again. Only \r\n in
		// CSV becomes something else.
		if format == CSV {
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

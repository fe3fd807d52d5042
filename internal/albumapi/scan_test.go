package albumapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"soundcheck/internal/album"
)

var encoded = []album.Album{
	{},
	album.Seed()[0],
	{ID: 1 << 62, Title: "a\x00\x1f\b\f\n\r\t\"\\/<>&\x7f", Artist: "\u2028\u2029\ufffd\xff é 𝄞", Price: -5, Genre: "\xc3", Year: -1},
	{ID: -1, Title: "x", Price: album.MaxPrice, CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))},
}

func checkEncoding(t *testing.T, a album.Album) {
	t.Helper()
	for _, html := range []bool{true, false} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(html)
		wantErr := enc.Encode([]album.Album{a, a})
		got, err := AppendAlbums(nil, []album.Album{a, a}, html)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%+v: error %v, want %v", a, err, wantErr)
		}
		if err == nil && string(got) != string(bytes.TrimSpace(want.Bytes())) {
			t.Errorf("%s, want %s", got, want.Bytes())
		}
	}
	var want struct {
		ID     int64       `json:"id,omitempty"`
		Title  string      `json:"title"`
		Artist string      `json:"artist"`
		Price  album.Cents `json:"price"`
		Genre  string      `json:"genre,omitempty"`
		Year   int         `json:"year,omitempty"`
	}
	want.ID, want.Title, want.Artist, want.Price, want.Genre, want.Year = a.ID, a.Title, a.Artist, a.Price, a.Genre, a.Year
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(want); err != nil {
		t.Fatal(err)
	}
	if got := appendInput(nil, &a); string(got) != string(bytes.TrimSpace(b.Bytes())) {
		t.Errorf("%s, want %s", got, b.Bytes())
	}
}

// Encoded albums are what encoding/json writes.
func TestEncode(t *testing.T) {
	t.Parallel()
	for _, a := range encoded {
		checkEncoding(t, a)
	}
	if _, err := AppendAlbum(nil, &album.Album{CreatedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, true); err == nil {
		t.Error("a year of five digits is encoded")
	}
	for _, ids := range [][]int64{nil, {}, {1}, {1, -2, 3}} {
		want, _ := json.Marshal(NewResult(ids))
		if got := AppendResult(nil, NewResult(ids)); string(got) != string(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if b, _ := AppendAlbums(nil, nil, true); string(b) != "null" {
		t.Errorf("no albums: %s", b)
	}
}

func FuzzEncode(f *testing.F) {
	for _, a := range encoded {
		f.Add(a.ID, a.Title, a.Artist, a.Genre, int64(a.Price), a.Year, a.CreatedAt.Unix(), int64(a.CreatedAt.Nanosecond()))
	}
	f.Fuzz(func(t *testing.T, id int64, title, artist, genre string, cents int64, year int, seconds, ns int64) {
		checkEncoding(t, album.Album{ID: id, Title: title, Artist: artist, Genre: genre, Price: album.Cents(cents), Year: year, CreatedAt: time.Unix(seconds, ns).UTC()})
	})
}

var usual = []string{
	`{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99,"genre":"Jazz","year":1958,"created_at":"2026-01-02T03:04:05.6Z"}`,
	` { "price" : 0.01 , "title" : "a\"\\\/\n\t\u0026\u00e9b" , "artist" : "é\u2028" } `,
	`{"title":"ab","artist":"cd","price":10000.00}`,
	`{"title":"ab","artist":"cd","price":7}`,
	`{"title":"ab","artist":"cd","price":7.5,"year":1860}`,
}

// What encoding/json decodes otherwise, or not at all.
var unusual = []string{
	``, `{}`, `null`, `[]`, `{"title":"ab","artist":"cd","price":1,"price":1}`, `{"title":"ab","artist":"cd"}`,
	`{"Title":"ab","artist":"cd","price":1}`, `{"title":"ab","artist":"cd","price":1,"year":0}`, `{"title":"ab","artist":"cd","price":1,"id":0}`,
	`{"title":"ab","artist":"cd","price":1,"id":-1}`, `{"title":"ab","artist":"cd","price":1,"id":01}`, `{"title":"ab","artist":"cd","price":01}`,
	`{"title":"ab","artist":"cd","price":1.}`, `{"title":"ab","artist":"cd","price":.1}`, `{"title":"ab","artist":"cd","price":1.001}`,
	`{"title":"ab","artist":"cd","price":1e2}`, `{"title":"ab","artist":"cd","price":-1}`, `{"title":"ab","artist":"cd","price":"1"}`,
	`{"title":"ab","artist":"cd","price":10000.01}`, `{"title":"ab","artist":"cd","price":1}x`, `{"title":"ab","artist":"cd","price":1,}`,
	`{"title":"ab","artist":"cd","price":1,"genre":null}`, `{"title":"ab","artist":"cd","price":1,"x":1}`, `{"title":"\ud800ab","artist":"cd","price":1}`,
	`{"title":"\ufffdab","artist":"cd","price":1}`, `{"title":"a` + "\n" + `b","artist":"cd","price":1}`, `{"title":"ab","artist":"cd","price":1,"created_at":"x"}`,
	`{"title":"ab","artist":"cd","price":1,"id":9999999999999999999}`, `{"title":"ab","artist":"cd","price":1 1}`, `{"title":"ab\`, `{"title":"ab\u12`, `{"title"`,
	`{"title":"ab","artist":"cd","price":1,"created_at":"2026-01-02T03:04:05\u005a"}`, `{"title":"ab","artist":"cd","price":1,"created_at":"\u0032026-01-02T03:04:05Z"}`,
	`{"title":"a\bb","artist":"cd","price":1}`, `{"title":"ab","artist":"cd","price":1,"year":1958.0}`, `{"title":"ab","artist":"cd","price":1`,
}

// checkScan compares what is scanned with what encoding/json and parseWrite return.
func checkScan(t *testing.T, text string) (scanned bool) {
	t.Helper()
	if !utf8.ValidString(text) {
		return false
	}
	var got, want album.Album
	if scanAlbum([]byte(text), &got) {
		scanned = true
		if err := json.Unmarshal([]byte(text), &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v, %v", text, got, want, err)
		}
	} else if got != (album.Album{}) {
		t.Errorf("%q: %+v although it gave up", text, got)
	}
	for _, body := range []string{text, "[" + text + "]", "[" + text + "," + text + "]", text + "\n\n" + text} {
		for _, form := range []struct{ batch, ndjson bool }{{false, false}, {true, false}, {true, true}} {
			w, ok := scanWrite([]byte(body), form.batch, form.ndjson)
			if !ok {
				continue
			}
			if want, err := parseWrite([]byte(body), form.batch, form.ndjson); err != nil || !reflect.DeepEqual(w, want) {
				t.Errorf("%q: %+v, want %+v, %v", body, w, want, err)
			}
		}
	}
	return scanned
}

func TestScan(t *testing.T) {
	t.Parallel()
	for _, text := range usual {
		if !checkScan(t, text) {
			t.Errorf("%s is not scanned", text)
		}
		for _, body := range []string{"[" + text + "]", "[ " + text + " , " + text + " ] "} {
			if albums, ok := scanAlbums([]byte(body), 2); !ok || len(albums) == 0 {
				t.Errorf("%s is not scanned", body)
			}
			if albums, ok := scanAlbums([]byte(body), 0); ok {
				t.Errorf("%d albums, more than the maximum", len(albums))
			}
		}
		if w, ok := scanWrite([]byte(text+"\r\n\n"+text), true, true); ok != (w.Validate() == nil) || len(w.Albums) != 2 {
			t.Errorf("%s as lines: %+v", text, w)
		}
	}
	for _, text := range unusual {
		if checkScan(t, text) {
			t.Errorf("%s is scanned", text)
		}
	}
	a := album.Album{Genre: "kept", Year: 2000}
	if !scanAlbum([]byte(usual[3]), &a) || a.Genre != "kept" || a.Title != "ab" {
		t.Errorf("%+v: a field that is absent is not kept, as encoding/json does", a)
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range append(usual, unusual...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkScan(t, text) })
}

func BenchmarkAlbum(b *testing.B) {
	a := album.Seed()[0]
	text, err := AppendAlbum(nil, &a, true)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			text, _ = AppendAlbum(text[:0], &a, true)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := decodeBody(text, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The path of each request allocates what its result needs: nothing, and the strings of an album.
func TestAllocations(t *testing.T) {
	if testing.CoverMode() != "" {
		t.Skip("coverage allocates")
	}
	a := album.Seed()[0]
	b := make([]byte, 0, 1000)
	text, _ := AppendAlbum(nil, &a, true)
	if n := testing.AllocsPerRun(100, func() { b, _ = AppendAlbum(b[:0], &a, true) }); n != 0 {
		t.Errorf("%v allocations of AppendAlbum", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = scanAlbum(text, &a) }); n > 3 {
		t.Errorf("%v allocations of scanAlbum, want 3 strings", n)
	}
}

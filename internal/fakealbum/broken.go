package fakealbum

import (
	"encoding/json"
	"net/http"
	"strings"

	"soundcheck/internal/album"
)

// Broken is an invalid album, which a store must reject.
type Broken struct {
	What        string // the defect, such as "no price"
	ContentType string
	Body        []byte
	Status      int    // expected status of POST /albums
	Field       string // expected field of the problem; "": none
}

// Broken returns the invalid replacement of album i, if album i is in the share. The seed selects the
// albums.
func (c Catalogue) Broken(i uint64, share float64) (b Broken, broken bool) {
	if uniform(c.draw(forBroken, i)) >= share {
		return Broken{}, false
	}
	way := ways[c.draw(forWay, i)%uint64(len(ways))]
	a := c.Album(i)
	fields := map[string]any{"title": a.Title, "artist": a.Artist, "price": a.Price, "genre": a.Genre, "year": a.Year}
	if way.spoil != nil {
		way.spoil(fields)
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err) // strings and numbers
	}
	b = Broken{What: way.what, ContentType: "application/json", Body: body, Status: http.StatusBadRequest, Field: way.field}
	if way.send != nil {
		way.send(&b)
	}
	return b, true
}

// ways are the defects: of a field, or of the encoding.
var ways = []struct {
	what, field string
	spoil       func(fields map[string]any)
	send        func(b *Broken)
}{
	{"no title", "title", without("title"), nil},
	{"a title of one character", "title", with("title", "é"), nil},
	{"a title of 1001 characters", "title", with("title", strings.Repeat("é", album.MaxText+1)), nil},
	{"no artist", "artist", without("artist"), nil},
	{"a NUL character in the artist", "artist", with("artist", "AC\x00DC"), nil},
	{"no price", "price", without("price"), nil},
	{"a price of 0", "price", with("price", 0), nil},
	{"a price of -9.99", "price", with("price", -9.99), nil},
	{"a price of 10000.01", "price", with("price", 10000.01), nil},
	{"a price with three decimals", "price", with("price", 9.999), nil},
	{"a price that is a string", "price", with("price", "9.99"), nil},
	{"a genre of 101 characters", "genre", with("genre", strings.Repeat("x", album.MaxGenre+1)), nil},
	{"a year before there were recordings", "year", with("year", album.MinYear-1), nil},
	{"a year that is no integer", "year", with("year", 1999.5), nil},
	{"an id of 0", "id", with("id", 0), nil},
	{"a field that albums do not have", "label", with("label", "Blue Note"), nil},
	{"JSON that breaks off", "", nil, func(b *Broken) { b.Body = b.Body[:len(b.Body)/2] }},
	{"bytes that are not UTF-8", "", nil, func(b *Broken) { b.Body = append([]byte(`{"title":"`+"\xff"+`",`), b.Body[1:]...) }},
	{"a media type that is not JSON", "", nil, func(b *Broken) { b.ContentType, b.Status = "text/plain", http.StatusUnsupportedMediaType }},
}

func with(name string, value any) func(map[string]any) {
	return func(fields map[string]any) { fields[name] = value }
}

func without(name string) func(map[string]any) {
	return func(fields map[string]any) { delete(fields, name) }
}

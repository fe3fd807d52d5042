package albumapi

import (
	"bytes"
	"time"
	"unicode/utf8"

	"soundcheck/internal/album"
)

// scanner decodes albums in their usual form. It rejects anything else, valid or not: then
// the caller decodes the whole with encoding/json, which knows all forms and reports errors. So an
// album that a scanner accepts is the one that encoding/json would return. Its text must be valid
// UTF-8.
type scanner struct {
	b []byte
	i int
	s []byte // of a string with escapes
}

// Fields that an album must have.
const (
	hasID = 1 << iota
	hasTitle
	hasArtist
	hasPrice
	hasGenre
	hasYear
	hasCreated
	required = hasTitle | hasArtist | hasPrice
)

// album decodes the next value.
func (s *scanner) album(a *album.Album) bool {
	if !s.next('{') {
		return false
	}
	seen := 0
	for {
		name, ok := s.text()
		if !ok || !s.next(':') {
			return false
		}
		field := 0
		switch string(name) {
		case "id":
			field = hasID
			a.ID, ok = s.integer(18)
		case "title":
			field = hasTitle
			a.Title, ok = s.string()
		case "artist":
			field = hasArtist
			a.Artist, ok = s.string()
		case "price":
			field = hasPrice
			a.Price, ok = s.price()
		case "genre":
			field = hasGenre
			a.Genre, ok = s.string()
		case "year":
			field = hasYear
			var year int64
			year, ok = s.integer(4)
			a.Year = int(year)
		case "created_at":
			field = hasCreated
			ok = s.time(&a.CreatedAt)
		}
		if !ok || field == 0 || seen&field != 0 {
			return false
		}
		seen |= field
		if s.next('}') {
			return seen&required == required
		}
		if !s.next(',') {
			return false
		}
	}
}

// space skips white space.
func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\r' || s.b[s.i] == '\t') {
		s.i++
	}
}

// next skips c, after white space, if it is next.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// end reports whether only white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.i == len(s.b)
}

func (s *scanner) string() (string, bool) {
	text, ok := s.text()
	return string(text), ok
}

// time decodes a time. Like encoding/json, it takes no escapes.
func (s *scanner) time(t *time.Time) bool {
	s.space()
	begun := s.i
	_, ok := s.text()
	return ok && t.UnmarshalJSON(s.b[begun:s.i]) == nil
}

// text decodes a string. The result is valid until the next call.
func (s *scanner) text() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	for start := s.i; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1], true
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escaped decodes the rest of a string that began at start.
func (s *scanner) escaped(start int) ([]byte, bool) {
	s.s = append(s.s[:0], s.b[start:s.i]...)
	for ; s.i < len(s.b); s.i++ {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			return s.s, true
		case c < ' ':
			return nil, false
		case c != '\\':
			s.s = append(s.s, c)
			continue
		}
		if s.i++; s.i == len(s.b) {
			return nil, false
		}
		switch c := s.b[s.i]; c {
		case '"', '\\', '/':
			s.s = append(s.s, c)
		case 'n':
			s.s = append(s.s, '\n')
		case 't':
			s.s = append(s.s, '\t')
		case 'u':
			r, ok := s.hex()
			if !ok {
				return nil, false
			}
			s.s = utf8.AppendRune(s.s, r)
		default: // rare
			return nil, false
		}
	}
	return nil, false
}

// hex decodes the digits of a \u escape. It rejects surrogates and U+FFFD, which replaces
// invalid ones.
func (s *scanner) hex() (r rune, ok bool) {
	if s.i+4 >= len(s.b) {
		return 0, false
	}
	for range 4 {
		s.i++
		switch c := s.b[s.i]; {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, r != utf8.RuneError && utf8.ValidRune(r)
}

// integer decodes an integer from 1 with at most that many digits.
func (s *scanner) integer(most int) (n int64, ok bool) {
	s.space()
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		n = n*10 + int64(s.b[s.i]-'0')
		s.i++
		if s.i-start > most {
			return 0, false
		}
	}
	return n, s.i > start && s.b[start] != '0' && s.numberEnds()
}

// price decodes a number with at most two decimals.
func (s *scanner) price() (album.Cents, bool) {
	s.space()
	start := s.i
	cents, decimals, fraction := int64(0), 0, false
	for ; s.i < len(s.b) && s.i-start < 9; s.i++ {
		switch c := s.b[s.i]; {
		case '0' <= c && c <= '9':
			cents = cents*10 + int64(c-'0')
			if fraction {
				decimals++
			}
			continue
		case c == '.' && !fraction && s.i > start:
			fraction = true
			continue
		}
		break
	}
	for n := decimals; n < 2; n++ {
		cents *= 10
	}
	ok := s.i > start && s.i-start < 9 && decimals <= 2 && (decimals > 0 || !fraction) && album.Cents(cents) <= album.MaxPrice
	if ok && s.b[start] == '0' && s.i-start > 1 {
		ok = s.b[start+1] == '.'
	}
	return album.Cents(cents), ok && s.numberEnds()
}

// numberEnds reports whether a number ends here.
func (s *scanner) numberEnds() bool {
	if s.i == len(s.b) {
		return true
	}
	switch s.b[s.i] {
	case ',', '}', ']', ' ', '\n', '\r', '\t':
		return true
	}
	return false
}

// scanAlbum decodes an album, and nothing after it, into a. It changes a only if it succeeds.
func scanAlbum(text []byte, a *album.Album) bool {
	s, into := scanner{b: text}, *a
	if !s.album(&into) || !s.end() {
		return false
	}
	*a = into
	return true
}

// scanAlbums decodes a JSON array of at most most albums.
func scanAlbums(text []byte, most int) (albums []album.Album, ok bool) {
	s := scanner{b: text}
	if !s.next('[') {
		return nil, false
	}
	albums = make([]album.Album, 0, min(len(text)/inputSize+1, most))
	for len(albums) < most {
		albums = append(albums, album.Album{})
		if !s.album(&albums[len(albums)-1]) {
			return nil, false
		}
		if s.next(']') {
			return albums, s.end()
		}
		if !s.next(',') {
			return nil, false
		}
	}
	return nil, false
}

// scanLines decodes NDJSON of at most most albums.
func scanLines(text []byte, most int) (albums []album.Album, ok bool) {
	albums = make([]album.Album, 0, min(len(text)/inputSize+1, most))
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(albums) == most {
			return nil, false
		}
		albums = append(albums, album.Album{})
		if !scanAlbum(line, &albums[len(albums)-1]) {
			return nil, false
		}
	}
	return albums, len(albums) > 0
}

// scanWrite is DecodeWrite for a valid body in the usual form.
func scanWrite(body []byte, batch, ndjson bool) (w album.Write, ok bool) {
	w.Batch = batch
	switch {
	case !batch:
		w.Albums = make([]album.Album, 1)
		ok = scanAlbum(body, &w.Albums[0])
	case ndjson:
		w.Albums, ok = scanLines(body, album.MaxBatch)
	default:
		w.Albums, ok = scanAlbums(body, album.MaxBatch)
	}
	if !ok {
		return w, false
	}
	for i := range w.Albums {
		w.Albums[i].CreatedAt = time.Time{} // the store sets it
	}
	return w, w.Validate() == nil
}

package albumapi

import (
	"strconv"
	"unicode/utf8"

	"soundcheck/internal/album"
)

// Albums are encoded and decoded (see scan.go) without reflection, which costs several times as
// much. The tests compare both with encoding/json.

// AppendAlbum appends a as encoding/json encodes it. Html is whether to escape <, > and &. It fails
// only if the year of CreatedAt has more than four digits.
func AppendAlbum(b []byte, a *album.Album, html bool) (_ []byte, err error) {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, a.ID, 10)
	b = append(b, ',')
	b = appendContent(b, a, html)
	if !a.CreatedAt.IsZero() {
		b = append(b, `,"created_at":"`...)
		b, err = a.CreatedAt.AppendText(b)
		b = append(b, '"')
	}
	return append(b, '}'), err
}

// AppendAlbums appends a JSON array.
func AppendAlbums(b []byte, albums []album.Album, html bool) (_ []byte, err error) {
	if albums == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '[')
	for i := range albums {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = AppendAlbum(b, &albums[i], html); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// AppendResult appends r as encoding/json encodes it.
func AppendResult(b []byte, r *Result) []byte {
	b = append(b, `{"count":`...)
	b = strconv.AppendInt(b, int64(r.Count), 10)
	if r.IDs == nil {
		return append(b, `,"ids":null}`...)
	}
	b = append(b, `,"ids":[`...)
	for i, id := range r.IDs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return append(b, "]}"...)
}

// appendInput appends the body of a write: without an id if it has none, and without the fields that
// the store sets. HTML is not escaped, so that a body that fits the proxy's size limit fits the
// store's too.
func appendInput(b []byte, a *album.Album) []byte {
	b = append(b, '{')
	if a.ID != 0 {
		b = append(b, `"id":`...)
		b = strconv.AppendInt(b, a.ID, 10)
		b = append(b, ',')
	}
	return append(appendContent(b, a, false), '}')
}

// inputSize is the approximate size of an album in the body of a write, in bytes.
const inputSize = 160

// appendContent appends the fields that a client sets.
func appendContent(b []byte, a *album.Album, html bool) []byte {
	b = appendString(append(b, `"title":`...), a.Title, html)
	b = appendString(append(b, `,"artist":`...), a.Artist, html)
	b = a.Price.Append(append(b, `,"price":`...))
	if a.Genre != "" {
		b = appendString(append(b, `,"genre":`...), a.Genre, html)
	}
	if a.Year != 0 {
		b = strconv.AppendInt(append(b, `,"year":`...), int64(a.Year), 10)
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendString appends s as encoding/json does: bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string, html bool) []byte {
	b = append(b, '"')
	start := 0 // of what is not appended yet
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && (!html || c != '<' && c != '>' && c != '&') {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[start:i]...), '\\', 'u', '2', '0', '2', hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

package albumapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"soundcheck/internal/album"
)

// DecodeWrite decodes the body of a POST: one album, or a batch as a JSON array or as NDJSON.
// Its *album.InvalidError names every invalid field.
func DecodeWrite(body []byte, batch, ndjson bool) (album.Write, error) {
	if err := checkUTF8(body); err != nil {
		return album.Write{Batch: batch}, err
	}
	if w, ok := scanWrite(body, batch, ndjson); ok {
		return w, nil
	}
	return parseWrite(body, batch, ndjson)
}

// parseWrite decodes a body of any form, and finds its errors.
func parseWrite(body []byte, batch, ndjson bool) (album.Write, error) {
	w := album.Write{Batch: batch}
	items := []json.RawMessage{body}
	if batch {
		var err error
		if items, err = batchItems(body, ndjson); err != nil {
			return w, err
		}
	}
	var all album.InvalidError
	w.Albums = make([]album.Album, len(items))
	for i, item := range items {
		a, err := decodeAlbum(item)
		w.Albums[i] = a
		var invalid *album.InvalidError
		if !errors.As(err, &invalid) {
			continue
		}
		if !batch {
			return w, err
		}
		if invalid.Detail != "" {
			all.Add(album.InBatch(i, ""), invalid.Detail)
		}
		for _, f := range invalid.Fields {
			all.Add(album.InBatch(i, f.Field), f.Message)
		}
	}
	if err := all.Err(); err != nil {
		return w, err
	}
	return w, w.Validate() // what remains are errors across albums
}

// Decode reads one album as strictly as POST /albums does. created_at is validated and
// dropped, because the store sets it. The error is an *album.InvalidError.
func Decode(body []byte) (album.Album, error) {
	if err := checkUTF8(body); err != nil {
		return album.Album{}, err
	}
	if w, ok := scanWrite(body, false, false); ok {
		return w.Albums[0], nil
	}
	return decodeAlbum(body)
}

// checkUTF8 rejects bytes that are not UTF-8, which encoding/json replaces silently, and
// a byte order mark, which it reports as an invalid character.
func checkUTF8(body []byte) error {
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return album.Invalid("the body begins with a byte order mark (RFC 8259, 8.1)")
	}
	if utf8.Valid(body) {
		return nil
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			return album.Invalid(fmt.Sprintf("the body is not valid UTF-8: byte 0x%02x at offset %d", body[at], at))
		}
		at += size
	}
}

func batchItems(body []byte, ndjson bool) (items []json.RawMessage, err error) {
	if ndjson {
		for line := range bytes.Lines(body) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				items = append(items, line)
			}
		}
	} else if items, err = arrayItems(body); err != nil {
		return nil, err
	}
	switch {
	case len(items) == 0:
		return nil, album.Invalid("the batch is empty")
	case len(items) > album.MaxBatch:
		return nil, ErrTooLarge
	}
	return items, nil
}

// arrayItems splits a JSON array. It stops after MaxBatch items: a body can hold millions.
func arrayItems(body []byte) (items []json.RawMessage, err error) {
	malformed := func(err error) error {
		return album.Invalid("the body must be one JSON array of albums: " + jsonReason(body, err))
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); len(first) == 0 || first[0] != '[' {
		var none []json.RawMessage
		return nil, malformed(json.Unmarshal(body, &none))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err)
	}
	for dec.More() {
		var item json.RawMessage
		if err := dec.Decode(&item); err != nil {
			return nil, malformed(cutOff(err))
		}
		if items = append(items, item); len(items) > album.MaxBatch {
			return nil, ErrTooLarge
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed(cutOff(err))
	}
	return items, malformedRest(dec, malformed)
}

// malformedRest returns an error if there is data after the value.
func malformedRest(dec *json.Decoder, malformed func(error) error) error {
	if _, err := dec.Token(); err != io.EOF {
		return malformed(errors.New("unexpected data after it"))
	}
	return nil
}

func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("unexpected end of JSON input")
	}
	return err
}

// maxFieldErrors is the maximum number of field errors in a response.
const maxFieldErrors = 50

// decodeAlbum decodes and validates one album.
func decodeAlbum(body []byte) (album.Album, error) {
	fields, twice, err := objectFields(body)
	if err != nil {
		return album.Album{}, err
	}
	var a album.Album
	var e album.InvalidError
	for name := range twice {
		e.Add(name, "duplicate field")
	}
	for name, raw := range fields {
		if bytes.Equal(raw, []byte("null")) && name != "id" || twice[name] {
			continue // counts as absent
		}
		if err := setField(&a, name, raw); err != nil {
			e.Add(name, err.Error())
		}
	}
	if raw, ok := fields["price"]; !ok || string(raw) == "null" {
		e.Add("price", album.Required)
	}
	// Decoded fields are validated too, so that one response names every error.
	var more *album.InvalidError
	if errors.As(album.Validate(a), &more) {
		for _, f := range more.Fields {
			if !e.Has(f.Field) {
				e.Add(f.Field, f.Message)
			}
		}
	}
	e.Sort()
	if n := len(e.Fields) - maxFieldErrors; n > 0 {
		e.Fields = e.Fields[:maxFieldErrors]
		e.Detail = fmt.Sprintf("%d more invalid fields", n)
	}
	return a, e.Err()
}

func setField(a *album.Album, name string, raw json.RawMessage) (err error) {
	switch name {
	case "id":
		a.ID, err = parseAlbumID(raw)
	case "title":
		a.Title, err = parseText(raw)
	case "artist":
		a.Artist, err = parseText(raw)
	case "price":
		a.Price, err = album.ParseCents(string(raw))
	case "genre":
		a.Genre, err = parseText(raw)
	case "year":
		a.Year, err = parseYear(raw)
	case "created_at": // ignored: an album can be PUT as it was read
		var t time.Time
		if json.Unmarshal(raw, &t) != nil {
			err = errors.New("must be a date and time (RFC 3339)")
		}
	default:
		err = errors.New("unknown field")
	}
	return err
}

// objectFields splits a JSON object, and reports duplicate names: which of the values the
// client means is unknown.
func objectFields(body []byte) (fields map[string]json.RawMessage, twice map[string]bool, err error) {
	var whole json.RawMessage
	malformed := func(err error) error {
		return album.Invalid("the body must be one JSON object: " + jsonReason(body, err))
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, nil, malformed(err)
	}
	if whole = bytes.TrimSpace(whole); len(whole) == 0 || whole[0] != '{' {
		return nil, nil, malformed(json.Unmarshal(body, &fields)) // the error names the actual type
	}
	fields = make(map[string]json.RawMessage, 8)
	dec := json.NewDecoder(bytes.NewReader(whole))
	_, _ = dec.Token() // whole is valid: there are no errors from here on
	for dec.More() {
		name, _ := dec.Token()
		var raw json.RawMessage
		_ = dec.Decode(&raw)
		key, _ := name.(string)
		if _, seen := fields[key]; seen {
			if twice == nil {
				twice = map[string]bool{}
			}
			twice[key] = true
		}
		fields[key] = raw
	}
	return fields, twice, nil
}

func jsonReason(body []byte, err error) string {
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typed): // whose text has Go's names
		return "it is of the type " + typed.Value
	case len(bytes.TrimSpace(body)) == 0:
		return "it is empty"
	case err == nil:
		return "it is null"
	default:
		return err.Error()
	}
}

func parseText(raw json.RawMessage) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errors.New("must be a string")
	}
	// encoding/json replaces a lone surrogate (\ud800) with U+FFFD.
	if n := strings.Count(s, "\ufffd"); n > 0 && n != strings.Count(string(raw), "\ufffd")+strings.Count(strings.ToLower(string(raw)), `\ufffd`) {
		return "", errors.New("must be valid Unicode")
	}
	return s, nil
}

// parseYear parses a year. 0 is invalid, although it means an absent year in an Album.
func parseYear(raw json.RawMessage) (int, error) {
	year, err := strconv.Atoi(string(raw))
	switch {
	case err != nil:
		return 0, fmt.Errorf("must be an integer from %d to %d", album.MinYear, album.MaxYear)
	case year < album.MinYear:
		return 0, errors.New(album.BelowMinimum)
	}
	return year, nil
}

// parseAlbumID reads the id of an album to create. An id that is given must be
// valid: the store assigns only absent ones.
func parseAlbumID(raw json.RawMessage) (int64, error) {
	id, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("must be an integer from 1 to %d", int64(math.MaxInt64))
	case id < 1:
		return 0, errors.New(album.BelowMinimum)
	}
	return id, nil
}

package albumhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"soundcheck/internal/album"
)

// decodeWrite reads what a POST asks for: one album, or a batch of them as a JSON
// array or as NDJSON. It returns an *album.InvalidError with everything that is
// wrong with it.
func decodeWrite(body []byte, batch, ndjson bool) (album.Write, error) {
	w := album.Write{Batch: batch}
	if !utf8.Valid(body) { // encoding/json would quietly replace the bad bytes
		return w, album.Invalid("the body is not valid UTF-8")
	}
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
	return w, w.Validate() // what it finds now concerns several albums
}

func batchItems(body []byte, ndjson bool) (items []json.RawMessage, err error) {
	if ndjson {
		for line := range bytes.Lines(body) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				items = append(items, line)
			}
		}
	} else if err := json.Unmarshal(body, &items); err != nil || items == nil {
		return nil, album.Invalid("the body must be one JSON array of albums: " + jsonReason(body, err))
	}
	switch {
	case len(items) == 0:
		return nil, album.Invalid("the batch is empty")
	case len(items) > album.MaxBatch:
		return nil, errTooLarge
	}
	return items, nil
}

// decodeAlbum reads one valid album.
func decodeAlbum(body []byte) (album.Album, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return album.Album{}, album.Invalid("the body must be one JSON object: " + jsonReason(body, err))
	}
	var a album.Album
	var e album.InvalidError
	for name, raw := range fields {
		if bytes.Equal(raw, []byte("null")) && name != "id" {
			continue // as good as absent
		}
		var err error
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
		case "created_at": // the store's to set; an album can be put back as it was read
		default:
			err = fmt.Errorf("unknown field")
		}
		if err != nil {
			e.Add(name, err.Error())
		}
	}
	if raw, ok := fields["price"]; !ok || string(raw) == "null" {
		e.Add("price", album.Required)
	}
	// What could be read is checked too, so that one answer names everything.
	var more *album.InvalidError
	if errors.As(album.Validate(a), &more) {
		for _, f := range more.Fields {
			if !e.Has(f.Field) {
				e.Add(f.Field, f.Message)
			}
		}
	}
	sortFields(e.Fields)
	return a, e.Err()
}

// sortFields makes answers to the same input the same: maps have no order.
func sortFields(fields []album.FieldError) {
	slices.SortFunc(fields, func(x, y album.FieldError) int { return strings.Compare(x.Field, y.Field) })
}

func jsonReason(body []byte, err error) string {
	switch {
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
		return "", fmt.Errorf("must be a string")
	}
	return s, nil
}

// parseYear reads a year that is given: 0 is as wrong as 1859, though an Album
// without a year has it.
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
// usable: only an absent one asks the store to assign it.
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

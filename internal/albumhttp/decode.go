package albumhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"soundcheck/internal/album"
)

// decodeAlbum reads one valid album from a request body, or returns an
// *album.InvalidError with everything that is wrong with it.
func decodeAlbum(body []byte) (album.Album, error) {
	if !utf8.Valid(body) { // encoding/json would quietly replace the bad bytes
		return album.Album{}, album.Invalid("the body is not valid UTF-8")
	}
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

// parseAlbumID reads the id of an album to create. An id that is given must be
// usable: only an absent one asks the store to assign it.
func parseAlbumID(raw json.RawMessage) (int64, error) {
	id, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("must be an integer from 1 to %d", int64(math.MaxInt64))
	case id < 1:
		return 0, fmt.Errorf(album.BelowMinimum)
	}
	return id, nil
}

// parseID reads the id in a path. Any integer is a question that can be answered.
func parseID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		var e album.InvalidError
		e.Add("id", fmt.Sprintf("must be an integer from 1 to %d", int64(math.MaxInt64)))
		return 0, e.Err()
	}
	return id, nil
}

func parseQuery(v url.Values) (album.Query, error) {
	q := album.Query{Limit: album.DefaultLimit}
	var e album.InvalidError
	for name := range v {
		if name != "limit" && name != "cursor" {
			e.Add(name, "unknown parameter")
		}
	}
	if s := v.Get("limit"); v.Has("limit") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > album.MaxLimit {
			e.Add("limit", fmt.Sprintf("must be an integer from 1 to %d", album.MaxLimit))
		}
		q.Limit = n
	}
	if s := v.Get("cursor"); v.Has("cursor") {
		after, err := decodeCursor(s)
		if err != nil {
			e.Add("cursor", err.Error())
		}
		q.After = after
	}
	sortFields(e.Fields)
	return q, e.Err()
}

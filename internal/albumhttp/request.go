package albumhttp

import (
	"context"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/munnerz/goautoneg"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
)

// maxBatchBody is the maximum size of a batch, in bytes.
const maxBatchBody = 10 << 20

// parseID parses the id in a path. Any integer is valid: no album has an id below 1.
func parseID(c *gin.Context) (int64, error) {
	if c.Request.URL.Path == batchPath {
		return 0, albumapi.ErrNoMethod
	}
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		var e album.InvalidError
		e.Add("id", fmt.Sprintf("must be an integer from 1 to %d", int64(math.MaxInt64)))
		return 0, e.Err()
	}
	return id, nil
}

// parseQuery parses the query of a list. A stream supports neither limit nor cursor.
func parseQuery(query string, stream bool) (album.Query, error) {
	q := album.Query{Limit: album.DefaultLimit}
	v, err := url.ParseQuery(query)
	if err != nil {
		return q, album.Invalid("invalid query string: " + err.Error())
	}
	var e album.InvalidError
	for name, values := range v {
		switch {
		case name != "limit" && name != "cursor" && name != "artist" && name != "genre":
			e.Add(name, "unknown parameter")
		case len(values) > 1:
			e.Add(name, "duplicate parameter")
		case stream && (name == "limit" || name == "cursor"):
			e.Add(name, "not supported with "+albumapi.NDJSONType)
		}
	}
	q.Artist = filterText(v, "artist", album.MaxText, &e)
	q.Genre = filterText(v, "genre", album.MaxGenre, &e)
	if s := v.Get("limit"); v.Has("limit") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > album.MaxLimit {
			e.Add("limit", fmt.Sprintf("must be an integer from 1 to %d", album.MaxLimit))
		}
		q.Limit = n
	}
	if s := v.Get("cursor"); v.Has("cursor") {
		after, err := albumapi.DecodeCursor(q.Filter, s)
		if err != nil {
			e.Add("cursor", err.Error())
		}
		q.After = after
	}
	e.Sort()
	return q, e.Err()
}

func filterText(v url.Values, name string, most int, e *album.InvalidError) string {
	s := v.Get(name)
	switch {
	case !v.Has(name):
	case s == "":
		e.Add(name, "must not be empty")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		e.Add(name, "must be UTF-8 without the NUL character")
	case utf8.RuneCountInString(s) > most:
		e.Add(name, album.AboveMaximum)
	}
	return s
}

// batchesAtOnce is the maximum number of full-size batches being processed: each takes about five
// times its size in memory. Further batches wait up to batchWait.
const (
	batchesAtOnce = 4
	batchWait     = 2 * time.Second
)

// batchSlot waits until there is memory to process a batch, whose body has been received. The
// caller releases it.
func (h *handler) batchSlot(c *gin.Context, batch bool) (release func(), err error) {
	if !batch {
		return func() {}, nil
	}
	size := int64(len(body(c)))
	ctx, cancel := context.WithTimeout(c.Request.Context(), batchWait)
	defer cancel()
	if err := h.batches.Acquire(ctx, size); err != nil {
		return nil, fmt.Errorf("%w: too many batches in progress", album.ErrNotReady)
	}
	_ = c.Request.Body.Close() // now counted by h.batches
	return func() { h.batches.Release(size) }, nil
}

// body returns the request's body, which receive has read.
func body(c *gin.Context) []byte {
	if r, ok := c.Request.Body.(*received); ok {
		return r.data
	}
	return nil
}

// readWrite reads the body and the headers of a POST.
func (*handler) readWrite(c *gin.Context, batch bool) (album.Write, error) {
	types := []string{albumapi.JSONType}
	if batch {
		types = append(types, albumapi.NDJSONType)
	}
	media, err := contentType(c.Request, types...)
	if err != nil {
		return album.Write{}, err
	}
	key, err := idempotencyKey(c.Request.Header)
	if err != nil {
		return album.Write{}, err
	}
	w, err := albumapi.DecodeWrite(body(c), batch, media == albumapi.NDJSONType)
	w.Key = key
	return w, err
}

// contentType returns the body's media type, by default the first of types.
func contentType(r *http.Request, types ...string) (string, error) {
	header := r.Header.Get("Content-Type")
	if coding := r.Header.Get("Content-Encoding"); len(r.Header.Values("Content-Type")) > 1 || coding != "" && !strings.EqualFold(coding, "identity") {
		return "", albumapi.ErrMediaType
	}
	if header == "" {
		return types[0], nil
	}
	media, params, err := mime.ParseMediaType(header)
	if charset := params["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", albumapi.ErrMediaType
	}
	for _, t := range types {
		if media == t {
			return t, nil
		}
	}
	return "", albumapi.ErrMediaType
}

// accepted returns the type with the highest quality in Accept, the first of equal ones
// (RFC 9110, 12.5.1).
func accepted(r *http.Request, types ...string) (string, error) {
	header := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	if header == "" {
		return types[0], nil
	}
	ranges := goautoneg.ParseAccept(header)
	best, most := "", 0.0
	for _, t := range types {
		if q := quality(ranges, t); q > most {
			best, most = t, q
		}
	}
	if best == "" {
		return "", albumapi.ErrNotAcceptable
	}
	return best, nil
}

// quality returns the quality of the most specific range that matches.
func quality(ranges []goautoneg.Accept, media string) (q float64) {
	major, minor, _ := strings.Cut(media, "/")
	specific := -1
	for _, r := range ranges {
		s := 0
		switch {
		case r.Type == major && r.SubType == minor:
			s = 2
		case r.Type == major && r.SubType == "*":
			s = 1
		case r.Type != "*" || r.SubType != "*":
			continue
		}
		if s > specific {
			specific, q = s, r.Q
		}
	}
	return q
}

// idempotencyKey reads the header of draft-ietf-httpapi-idempotency-key-header,
// with or without the quotes of a structured field.
func idempotencyKey(header http.Header) (string, error) {
	values := header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	ok := len(values) == 1 && key != "" && len(key) <= album.MaxKey
	for _, r := range key {
		ok = ok && r > ' ' && r <= '~' && r != '"' && r != '\\'
	}
	if !ok {
		var e album.InvalidError
		e.Add("Idempotency-Key", fmt.Sprintf("must be one key of 1 to %d visible ASCII characters, without quotes and backslashes", album.MaxKey))
		return "", e.Err()
	}
	return key, nil
}

// prefersAsync reports whether the client prefers an asynchronous response (RFC 7240).
func prefersAsync(header http.Header) bool {
	for part := range strings.SplitSeq(strings.Join(header.Values("Prefer"), ","), ",") {
		if token, _, _ := strings.Cut(part, ";"); strings.EqualFold(strings.TrimSpace(token), "respond-async") {
			return true
		}
	}
	return false
}

// readPut decodes the album of a PUT. Its own id is optional.
func (*handler) readPut(c *gin.Context, id int64) (album.Album, error) {
	var e album.InvalidError
	if id < 1 {
		e.Add("id", album.BelowMinimum)
		return album.Album{}, e.Err()
	}
	if _, err := contentType(c.Request, albumapi.JSONType); err != nil {
		return album.Album{}, err
	}
	w, err := albumapi.DecodeWrite(body(c), false, false)
	if err != nil {
		return album.Album{}, err
	}
	a := w.Albums[0]
	if a.ID != 0 && a.ID != id {
		e.Add("id", "must equal the id in the path, or be absent")
		return album.Album{}, e.Err()
	}
	a.ID = id
	return a, nil
}

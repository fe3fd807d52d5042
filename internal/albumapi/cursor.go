package albumapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"soundcheck/internal/album"
)

var errCursor = errors.New("invalid cursor: take it from the Link header of a page with the same filter")

// encodeCursor encodes the last id of a page as an opaque cursor. The checksum detects a cursor
// that is damaged, foreign, or of another filter; it is not a secret.
func encodeCursor(f album.Filter, after int64) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(after))
	return base64.RawURLEncoding.EncodeToString(append(b, cursorSum(f, b)...))
}

// DecodeCursor returns the last id of a page from a cursor, or an error if it was not made for f.
func DecodeCursor(f album.Filter, s string) (int64, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 12 || string(cursorSum(f, b[:8])) != string(b[8:]) {
		return 0, errCursor
	}
	after := int64(binary.BigEndian.Uint64(b))
	if after < 1 {
		return 0, errCursor
	}
	return after, nil
}

func cursorSum(f album.Filter, b []byte) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "soundcheck albums v1 %q %q %x", f.Artist, f.Genre, b))
	return sum[:4]
}

// Links is the Link header (RFC 8288) of a page.
func Links(q album.Query, next int64) string {
	q.After = 0
	s := fmt.Sprintf(`<%s>; rel="first"`, listPath(q))
	if next != 0 {
		q.After = next
		s = fmt.Sprintf(`<%s>; rel="next", `, listPath(q)) + s
	}
	return s
}

func listPath(q album.Query) string {
	v := filterValues(q.Filter)
	v.Set("limit", strconv.Itoa(q.Limit))
	if q.After != 0 {
		v.Set("cursor", encodeCursor(q.Filter, q.After))
	}
	return "/albums?" + v.Encode()
}

func filterValues(f album.Filter) url.Values {
	v := url.Values{}
	if f.Artist != "" {
		v.Set("artist", f.Artist)
	}
	if f.Genre != "" {
		v.Set("genre", f.Genre)
	}
	return v
}

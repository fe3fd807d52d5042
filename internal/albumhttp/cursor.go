package albumhttp

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

var errCursor = errors.New("not a cursor of this service: take it from the Link header of a page")

// encodeCursor hides the last id of a page, so that nobody builds on what is in
// it. The checksum tells a damaged or foreign cursor; it is no secret.
func encodeCursor(after int64) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(after))
	return base64.RawURLEncoding.EncodeToString(append(b, cursorSum(b)...))
}

func decodeCursor(s string) (int64, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 12 || string(cursorSum(b[:8])) != string(b[8:]) {
		return 0, errCursor
	}
	after := int64(binary.BigEndian.Uint64(b))
	if after < 1 {
		return 0, errCursor
	}
	return after, nil
}

func cursorSum(b []byte) []byte {
	sum := sha256.Sum256(append([]byte("soundcheck albums v1"), b...))
	return sum[:4]
}

// nextLink is the Link header (RFC 8288) of a page that is not the last.
func nextLink(limit int, next int64) string {
	return fmt.Sprintf(`<%s>; rel="next"`, listPath(album.Query{Limit: limit, After: next}))
}

func listPath(q album.Query) string {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.After != 0 {
		v.Set("cursor", encodeCursor(q.After))
	}
	return "/albums?" + v.Encode()
}

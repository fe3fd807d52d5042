package albumapi

import (
	"testing"

	"soundcheck/internal/album"
)

// Only a cursor that the service made is taken.
func FuzzCursor(f *testing.F) {
	f.Add("", "", encodeCursor(album.Filter{}, 1))
	f.Add("a", "b", encodeCursor(album.Filter{Artist: "a", Genre: "b"}, 1<<62))
	f.Add("", "", "AAAAAAAAAAAAAAAA")
	f.Add("", "", "=")
	f.Fuzz(func(t *testing.T, artist, genre, cursor string) {
		filter := album.Filter{Artist: artist, Genre: genre}
		after, err := DecodeCursor(filter, cursor)
		if err == nil && (after < 1 || encodeCursor(filter, after) != cursor) {
			t.Fatalf("cursor %q was taken as %d", cursor, after)
		}
	})
}

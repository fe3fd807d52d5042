package albumhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// cancelled is a response whose Write returns while what it was given is still in use, as that of an
// HTTP/2 stream that the client resets.
type cancelled struct {
	http.ResponseWriter
	kept []byte
}

func (c *cancelled) Write(p []byte) (int, error) {
	c.kept = p
	return 0, errors.New("stream reset")
}

// The next responses do not reuse the buffer of a failed one.
func TestBufferAfterFailure(t *testing.T) {
	t.Parallel()
	h := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"})
	for _, path := range []string{"/albums/1", "/albums"} {
		for range 20 {
			first := &cancelled{ResponseWriter: httptest.NewRecorder()}
			h.ServeHTTP(first, httptest.NewRequest(http.MethodGet, path, nil))
			want := string(first.kept)
			if want == "" {
				t.Fatalf("%s: nothing is written", path)
			}
			for range 3 {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/albums/2", nil))
			}
			if got := string(first.kept); got != want {
				t.Fatalf("%s: the response has become %s, want %s", path, got, want)
			}
		}
	}
}

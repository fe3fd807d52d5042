package smoke

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// A service with the real API, new or in use, passes. The service's own routes are not its handler's.
func TestRun(t *testing.T) {
	t.Parallel()
	api := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{})
	mux := http.NewServeMux()
	mux.Handle("/", api)
	for _, path := range []string{"/status", "/metrics"} {
		mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) {})
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for _, base := range []string{srv.URL, srv.URL + "/"} { // the second time album 10 exists
		var out strings.Builder
		if err := Run(t.Context(), srv.Client(), base, &out); err != nil || !strings.HasSuffix(out.String(), "\nall 10 responses as expected\n") {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}

// The error names each wrong response, in one line.
func TestWrong(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"a": [1]}`) }))
	err := Run(t.Context(), srv.Client(), srv.URL, io.Discard)
	const want = "5 of 10 responses were wrong: 3 (GET /albums/X): 200, want 400; 5 (POST /albums): 200, want 400; " +
		"6 (POST /albums): 200, want 400; 7 (POST /albums): 200, want 400; 8 (POST /albums): 200, want 201 or 409"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	srv.Close()
	if err := Run(t.Context(), srv.Client(), srv.URL, io.Discard); !errors.As(err, new(NoResponse)) {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, http.DefaultClient, srv.URL, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

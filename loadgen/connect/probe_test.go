package connect

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		want   string
	}{
		{http.StatusOK, ""},
		{http.StatusNotFound, "/healthz responded 404 Not Found: not an album service"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" {
				t.Errorf("probe asks for %s, want /healthz", r.URL.Path)
			}
			w.WriteHeader(tt.status)
		}))
		err := Probe(t.Context(), server.URL, Options{}, nil)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != server.URL+tt.want) {
			t.Errorf("Probe with status %d = %v, want %q", tt.status, err, tt.want)
		}
		server.Close()
	}
}

package service

import (
	"net/http/httptest"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/fault"
)

// Profiles are at the admin address, not at the public one, and not while faults are hidden.
func TestProfilesAddress(t *testing.T) {
	t.Parallel()
	for hidden, want := range map[bool]int{false: 200, true: 409} {
		c := &Common{Faults: fault.New(1, fault.Error), hidden: hidden}
		if hidden {
			c.Faults.Hide()
		}
		public, err := newHandler("album-store", c, Backend{Service: album.NewMemory()}, albumapi.Telemetry{})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "127.0.0.1"
			w := httptest.NewRecorder()
			if public.ServeHTTP(w, r); w.Code != 404 {
				t.Errorf("public %s = %d, want 404", path, w.Code)
			}
			if path == "/debug/pprof/profile?seconds=1" && !hidden {
				continue // it takes a second
			}
			w = httptest.NewRecorder()
			if c.admin().ServeHTTP(w, r); w.Code != want {
				t.Errorf("hidden %v: %s = %d %.100s, want %d", hidden, path, w.Code, w.Body, want)
			}
		}
		r := httptest.NewRequest("GET", "/admin/faults", nil)
		r.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		if c.admin().ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("/admin/faults = %d", w.Code)
		}
	}
}

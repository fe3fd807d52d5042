package profiling

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestHandler(t *testing.T) {
	h := Handler()
	for _, tt := range []struct {
		method, path, host string
		want               int
	}{
		{"GET", "/debug/pprof/", "127.0.0.1:9081", 200},
		{"GET", "/debug/pprof/heap", "localhost", 200},
		{"GET", "/debug/pprof/goroutine?debug=1", "[::1]:1", 200},
		{"GET", "/debug/pprof/cmdline", "127.0.0.1", 404}, // arguments can hold secrets
		{"GET", "/debug/pprof/none", "127.0.0.1", 404},
		{"POST", "/debug/pprof/heap", "127.0.0.1", 405},
		{"GET", "/", "127.0.0.1", 404},
		{"GET", "/debug/pprof/heap", "evil.example:9081", 421},
		{"GET", "/debug/pprof/heap", "192.0.2.1", 421},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Host = tt.host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != tt.want {
			t.Errorf("%s %s of %s = %d %.100s, want %d", tt.method, tt.path, tt.host, w.Code, w.Body, tt.want)
		}
	}
	for fetch, want := range map[[2]string]int{{"cross-site", "no-cors"}: 403, {"same-site", "cors"}: 403, {"cross-site", "navigate"}: 200, {"same-origin", "cors"}: 200, {"none", "navigate"}: 200} {
		r := httptest.NewRequest("GET", "/debug/pprof/heap", nil)
		r.Host = "127.0.0.1:9081"
		r.Header.Set("Sec-Fetch-Site", fetch[0])
		r.Header.Set("Sec-Fetch-Mode", fetch[1])
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%v = %d, want %d", fetch, w.Code, want)
		}
	}
}

// Samples have labels while a profile is taken. The server's read timeout does not end a profile that is longer.
func TestProfile(t *testing.T) {
	srv := httptest.NewUnstartedServer(Handler())
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	srv.Start()
	defer srv.Close()
	if Active() {
		t.Error("active without a profile")
	}
	done := make(chan *profile.Profile, 1)
	go func() {
		defer close(done)
		resp, err := http.Get(srv.URL + "/debug/pprof/profile?seconds=1")
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		p, err := profile.Parse(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s, %v", resp.Status, err)
			return
		}
		done <- p
	}()
	for !Active() {
		time.Sleep(time.Millisecond)
	}
	work := bytes.Repeat([]byte("x"), 1<<20)
	Label(t.Context(), func(context.Context) {
		for Active() { // CPU time
			bytes.Count(work, []byte("y"))
		}
	}, Route, "GET /albums/:id", TraceID, "abc")
	p := <-done
	if p == nil {
		t.Fatal("no profile")
	}
	if p.DurationNanos < 9e8 {
		t.Errorf("the profile is of %d ns, want a second", p.DurationNanos)
	}
	if !slices.ContainsFunc(p.Sample, func(s *profile.Sample) bool {
		return slices.Equal(s.Label[Route], []string{"GET /albums/:id"}) && slices.Equal(s.Label[TraceID], []string{"abc"})
	}) {
		t.Errorf("none of %d samples has the labels", len(p.Sample))
	}
}

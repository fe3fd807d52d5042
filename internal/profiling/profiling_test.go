package profiling

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	for seconds := 1; ; seconds *= 2 { // longer if this process got too little CPU time
		err := profiled(t, seconds)
		if err == nil {
			return
		}
		if seconds >= 32 {
			t.Fatal(err)
		}
		t.Log(err)
	}
}

// profiled takes a profile of so many seconds, which is longer than the server's timeouts.
func profiled(t *testing.T, seconds int) error {
	t.Helper()
	srv := httptest.NewUnstartedServer(Handler())
	duration := time.Duration(seconds) * time.Second
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = duration/2, duration/2
	srv.Start()
	defer srv.Close()
	if Active() {
		t.Error("active without a profile")
	}
	type result struct {
		*profile.Profile
		err error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := http.Get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", srv.URL, seconds))
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer resp.Body.Close()
		p, err := profile.Parse(resp.Body)
		if resp.StatusCode != http.StatusOK {
			err = errors.Join(err, errors.New(resp.Status))
		}
		done <- result{p, err}
	}()
	for !Active() && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	work := bytes.Repeat([]byte("x"), 1<<20)
	Label(t.Context(), func(context.Context) {
		for Active() { // CPU time
			bytes.Count(work, []byte("y"))
		}
	}, Route, "GET /albums/:id", TraceID, "abc")
	p := <-done
	switch {
	case p.err != nil:
		return p.err
	case p.DurationNanos < 9*duration.Nanoseconds()/10:
		return fmt.Errorf("the profile is of %d ns, want %s", p.DurationNanos, duration)
	case !slices.ContainsFunc(p.Sample, func(s *profile.Sample) bool {
		return slices.Equal(s.Label[Route], []string{"GET /albums/:id"}) && slices.Equal(s.Label[TraceID], []string{"abc"})
	}):
		return fmt.Errorf("none of %d samples has the labels", len(p.Sample))
	}
	return nil
}

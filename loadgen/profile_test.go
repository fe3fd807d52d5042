package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"soundcheck/internal/profiling"
)

// -profile stores CPU profiles of a process beside the report.
func TestProfile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	profiles := func() []string {
		files, err := filepath.Glob(filepath.Join(dir, "cpu-shop-2*Z-[123]s.pb.gz"))
		if err != nil {
			t.Error(err)
		}
		return files
	}
	var requests atomic.Int64
	tg := newTarget(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for n := requests.Add(1); n > 100 && r.Context().Err() == nil && len(profiles()) == 0; { // the run does not end before
				time.Sleep(10 * time.Millisecond)
			}
			h.ServeHTTP(w, r)
		})
	})
	admin := httptest.NewServer(profiling.Handler())
	defer admin.Close()
	_, stderr, code := loadgen(t.Context(), "-rate", "50", "-duration", "4s", "-out", dir, "-url", tg.URL, "-profile", "shop="+admin.URL+"/debug/pprof/")
	if code != 0 && code != 4 || stderr != "" && code == 0 { // on a busy machine the report is invalid
		t.Errorf("exit code %d, %s", code, stderr)
	}
	files := profiles()
	if len(files) == 0 {
		all, _ := os.ReadDir(dir)
		t.Fatalf("no profile of up to 3 s; files %v", all)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if p, err := profile.Parse(bytes.NewReader(b)); err != nil || p.PeriodType.Type != "cpu" || p.DurationNanos < 0.8e9 {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "report.json")); err != nil {
		t.Error(err)
	}
}

// A service that has no profiles, or not any more, is no secret.
func TestProfileFails(t *testing.T) {
	t.Parallel()
	sent := make(chan struct{}, 1000)
	tg := newTarget(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sent <- struct{}{}; h.ServeHTTP(w, r) })
	})
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-profile", "shop"}, 2, `-profile: "shop" is not name=URL`},
		{[]string{"-profile", "a b=http://x"}, 2, "is not name=URL"},
		{[]string{"-profile", "a=ftp://x"}, 2, "is not name=URL"},
		{[]string{"-profile", "a=http://x,a=http://y"}, 2, "-profile: a is a duplicate"},
		{[]string{"-profile", "a=http://x?b=c"}, 2, "is not name=URL"},
		{[]string{"-url", tg.URL, "-out", filepath.Join(t.TempDir(), "x"), "-profile", "shop=" + tg.URL}, 1, "-profile: shop: " + tg.URL + "/debug/pprof/: 404"},
		{[]string{"-url", tg.URL, "-keep", "", "-profile", "shop=" + httpOK(t)}, 2, "-profile needs -out or -keep"},
	} {
		_, stderr, code := loadgen(t.Context(), tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit code %d, %s, want %d, %s", tt.args, code, stderr, tt.code, tt.want)
		}
	}
	if len(sent) > 1 { // the unknown path of the probe
		t.Errorf("%d requests were sent", len(sent))
	}
	dir := filepath.Join(t.TempDir(), "run")
	_, stderr, _ := loadgen(t.Context(), "-rate", "20", "-duration", "6s", "-out", dir, "-url", tg.URL, "-profile", "shop="+httpOK(t))
	if !strings.Contains(stderr, "no further CPU profiles of shop: ") || !strings.Contains(stderr, "500 Internal Server Error: busy") {
		t.Errorf("a service whose profiles fail: %s", stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "report.json")); err != nil {
		t.Error(err)
	}
}

// httpOK is the URL of a service that lists profiles and has none.
func httpOK(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/pprof/" {
			http.Error(w, "busy", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

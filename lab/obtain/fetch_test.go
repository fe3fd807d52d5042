package obtain

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// entry is one entry of an archive.
type entry struct {
	name, content string
	mode          int64
	kind          byte
	link          string
}

func archive(entries ...entry) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: e.kind, Linkname: e.link}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if e.kind == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: e.kind, PAXRecords: map[string]string{"comment": e.name}}
		}
		err := w.WriteHeader(h)
		if err == nil && e.content != "" {
			_, err = w.Write([]byte(e.content))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// noise is content that cannot be compressed.
func noise(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return string(b)
}

const jaegerScript = "#!/bin/sh\necho '{\"gitVersion\":\"v2.13.0\"}'\n"

var jaegerArchive = sync.OnceValue(func() []byte {
	return archive(entry{name: "jaeger-2.13.0-linux-amd64/", kind: tar.TypeDir}, entry{name: "jaeger-2.13.0-linux-amd64/example-hotrod", content: noise(512 << 10)},
		entry{name: "jaeger-2.13.0-linux-amd64/jaeger", content: jaegerScript, mode: 0o755})
})

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// release returns the row of an archive that the server has.
func release(server *httptest.Server, b []byte) Release {
	return Release{Program: "jaeger", Version: "2.13.0", OS: "linux", Arch: "amd64", Size: int64(len(b)), SHA256: sumOf(b),
		URL: server.URL + "/v2.13.0/jaeger-2.13.0-linux-amd64.tar.gz"}
}

func newFetcher(t *testing.T, mirror string) *Fetcher {
	t.Helper()
	f, err := NewFetcher(t.TempDir(), mirror)
	if err != nil {
		t.Fatal(err)
	}
	// The time limits are none of these tests' business.
	f.FirstByte, f.Stall = time.Hour, time.Hour
	return f
}

// serve starts a server. Its handler gets the number of the request, from 1.
func serve(t *testing.T, handle func(n int64, w http.ResponseWriter, r *http.Request)) *httptest.Server {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(n.Add(1), w, r) }))
	t.Cleanup(s.Close)
	return s
}

// whole serves the archive as a file server does: with ranges.
func whole(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(jaegerArchive()))
}

// cut sends n bytes of what an answer would have, and closes the connection.
func cut(w http.ResponseWriter, r *http.Request, n int) {
	rec := httptest.NewRecorder()
	whole(rec, r)
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes()[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// wantInstalled fails unless the program is there, works, and nothing else is left.
func wantInstalled(t *testing.T, f *Fetcher, r Release, found Found, err error) {
	t.Helper()
	want := Found{Name: "jaeger", Path: filepath.Join(f.dir, "jaeger-2.13.0", "jaeger"), Version: "2.13.0", Origin: "jaeger-2.13.0-linux-amd64.tar.gz", Release: true}
	if err != nil || found != want {
		t.Fatalf("Fetch = %+v, %v, want %+v", found, err, want)
	}
	if got, ok := f.Installed(Jaeger, r); !ok || got != found {
		t.Errorf("Installed = %+v, %t", got, ok)
	}
	if _, err := Jaeger.inspect(t.Context(), found.Path); err != nil {
		t.Error(err)
	}
	wantFiles(t, f.Dir(r), sumFile, "jaeger")
	wantFiles(t, f.temp(), r.SHA256+".lock")
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

func TestFetchCancelled(t *testing.T) {
	t.Parallel()
	why := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		w.Write(jaegerArchive()[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	f := newFetcher(t, "")
	if _, err := f.Fetch(ctx, Jaeger, release(s, jaegerArchive()), func(int64, int64) { cancel(why) }); !errors.Is(err, why) || errors.Is(err, ErrUnreachable) {
		t.Errorf("Fetch that is cancelled: %v, want %v", err, why)
	}
}

// Two labs of one repository download a release once.
func TestFetchTogether(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := serve(t, func(n int64, w http.ResponseWriter, r *http.Request) { requests.Store(n); whole(w, r) })
	f, row := newFetcher(t, ""), release(s, jaegerArchive())
	var wg sync.WaitGroup
	for range 4 {
		other, err := NewFetcher(f.dir, "")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			found, err := other.Fetch(t.Context(), Jaeger, row, nil)
			if err != nil || found.Version != "2.13.0" {
				t.Errorf("Fetch = %+v, %v", found, err)
			}
		})
	}
	wg.Wait()
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}

// A release whose sum in the list has changed is fetched again.
func TestPinnedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	f, row := newFetcher(t, ""), release(s, jaegerArchive())
	if err := os.MkdirAll(f.Dir(row), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{sumFile: "other", "old": ""} {
		if err := os.WriteFile(filepath.Join(f.Dir(row), name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := f.Fetch(t.Context(), Jaeger, row, nil)
	wantInstalled(t, f, row, found, err)
}

// Grafana is its whole folder, without links that leave it.
func TestFetchFolder(t *testing.T) {
	t.Parallel()
	program := entry{name: "grafana-12.4.2/bin/grafana", content: "#!/bin/sh\necho grafana version 12.4.2\n", mode: 0o755}
	ini := entry{name: "grafana-12.4.2/conf/defaults.ini", content: "[server]"}
	page := entry{name: "grafana-12.4.2/public/index.html", content: "<html>"}
	for want, entries := range map[string][]entry{
		"":                            {program, ini, page},
		"it has no bin/grafana":       {ini, page},
		"no conf/defaults.ini in ":    {program, page},
		`links to "/etc/grafana.ini"`: {program, {name: "grafana-12.4.2/conf/custom.ini", kind: tar.TypeSymlink, link: "/etc/grafana.ini"}, ini},
	} {
		b := archive(entries...)
		s := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { w.Write(b) })
		row := Release{Program: "grafana", Version: "12.4.2", URL: s.URL + "/grafana-12.4.2.linux-amd64.tar.gz", SHA256: sumOf(b)}
		f := newFetcher(t, "")
		found, err := f.Fetch(t.Context(), Grafana, row, nil)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), "fetch grafana 12.4.2: grafana-12.4.2.linux-amd64.tar.gz: ") || !strings.Contains(err.Error(), want) {
				t.Errorf("Fetch: %v, want %s", err, want)
			}
			continue
		}
		home := filepath.Join(f.dir, "grafana-12.4.2")
		if err != nil || found.Home != home || found.Path != filepath.Join(home, "bin", "grafana") {
			t.Errorf("Fetch = %+v, %v", found, err)
		}
		wantFiles(t, home, sumFile, "bin", "conf", "public")
	}
}

// A mirror has the archives in one folder, under their names.
func TestMirror(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path != "/files/jaeger-2.13.0-linux-amd64.tar.gz" || user+password != "mesecret" {
			http.NotFound(w, r)
			return
		}
		whole(w, r)
	})
	row := release(s, jaegerArchive())
	row.URL = "https://host.invalid/download/jaeger-2.13.0-linux-amd64.tar.gz"
	address := strings.Replace(s.URL, "//", "//me:secret@", 1)
	for _, folder := range []string{"/files", "/files/"} {
		f := newFetcher(t, address+folder)
		found, err := f.Fetch(t.Context(), Jaeger, row, nil)
		wantInstalled(t, f, row, found, err)
	}
	if _, err := newFetcher(t, address+"/none").Fetch(t.Context(), Jaeger, row, nil); err == nil || !strings.Contains(err.Error(), "/none/jaeger-2.13.0-linux-amd64.tar.gz: 404") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a mirror without the archive: %v", err)
	}
	for _, bad := range []string{"files", "/srv/files", "ftp://h/files", "http://", "http://h:x/secret"} {
		if _, err := NewFetcher(t.TempDir(), bad); err == nil || err.Error() != "SOUNDCHECK_MIRROR: want an http or https URL of a folder" {
			t.Errorf("mirror %q: %v", bad, err)
		}
	}
}

// The archive is requested through an HTTP proxy.
func TestProxy(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "host.invalid" {
			http.NotFound(w, r)
			return
		}
		whole(w, r)
	})
	f, row := newFetcher(t, ""), release(s, jaegerArchive())
	if f.client.Transport.(*http.Transport).Proxy == nil {
		t.Error("the proxies of the environment are not used")
	}
	row.URL = "http://host.invalid/jaeger-2.13.0-linux-amd64.tar.gz"
	proxy, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	f.client.Transport.(*http.Transport).Proxy = http.ProxyURL(proxy)
	found, err := f.Fetch(t.Context(), Jaeger, row, nil)
	wantInstalled(t, f, row, found, err)
}

package obtain

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/internal/cli/clitest"
)

func TestFetch(t *testing.T) {
	t.Parallel()
	size := len(jaegerArchive())
	redirected := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	for name, tt := range map[string]struct {
		requests int64
		handle   func(n int64, w http.ResponseWriter, r *http.Request)
	}{
		"good": {1, func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) }},
		"redirect": {1, func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, redirected.URL+"/elsewhere", http.StatusFound)
		}},
		"connection closed twice": {3, func(n int64, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				cut(w, r, size/2)
			case 2:
				cut(w, r, size/4)
			default:
				if want := fmt.Sprintf("bytes=%d-", size/2+size/4); r.Header.Get("Range") != want {
					t.Errorf("Range %q, want %s", r.Header.Get("Range"), want)
				}
				whole(w, r)
			}
		}},
		// A server that does not know the size, and ends the answer properly: the list has the size.
		"too short": {2, func(n int64, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				whole(w, r)
				return
			}
			w.(http.Flusher).Flush()
			w.Write(jaegerArchive()[:size/3])
		}},
		"no ranges": {2, func(n int64, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			if n == 1 {
				cut(w, r, size/2)
			}
			whole(w, r)
		}},
		"another range": {3, func(n int64, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				cut(w, r, size/2)
			case 2:
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 7-%d/%d", size-1, size))
				w.WriteHeader(http.StatusPartialContent)
			default:
				whole(w, r)
			}
		}},
		"compressed by its transport": {1, func(_ int64, w http.ResponseWriter, r *http.Request) {
			if enc := r.Header.Get("Accept-Encoding"); enc != "identity" {
				t.Errorf("Accept-Encoding %q", enc)
			}
			whole(w, r)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			s := serve(t, func(n int64, w http.ResponseWriter, r *http.Request) { requests.Store(n); tt.handle(n, w, r) })
			f, row := newFetcher(t, ""), release(s, jaegerArchive())
			var last, total int64
			found, err := f.Fetch(t.Context(), Jaeger, row, func(d, of int64) { last, total = d, of })
			wantInstalled(t, f, row, found, err)
			if last != row.Size || total != row.Size || requests.Load() != tt.requests {
				t.Errorf("progress %d of %d, want %d; %d requests, want %d", last, total, row.Size, requests.Load(), tt.requests)
			}
			s.Close() // what is there needs no network
			if again, err := f.Fetch(t.Context(), Jaeger, row, nil); err != nil || again != found {
				t.Errorf("the second Fetch = %+v, %v", again, err)
			}
		})
	}
}

// What a Fetch that failed has left is continued by the next one, unless it is not of this
// archive.
func TestContinue(t *testing.T) {
	t.Parallel()
	b := jaegerArchive()
	var ranges []string
	s := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		whole(w, r)
	})
	row := release(s, b)
	for name, tt := range map[string]struct {
		part   []byte
		ranges []string
	}{
		"half":     {b[:len(b)/2], []string{fmt.Sprintf("bytes=%d-", len(b)/2)}},
		"complete": {b, nil},
		"damaged":  {make([]byte, len(b)/2), []string{fmt.Sprintf("bytes=%d-", len(b)/2), ""}},
		"too long": {append(bytes.Clone(b), 0), []string{fmt.Sprintf("bytes=%d-", len(b)+1), ""}},
		"empty":    {nil, []string{""}},
	} {
		ranges = nil
		f := newFetcher(t, "")
		if err := os.MkdirAll(f.temp(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.temp(), row.SHA256+".part"), tt.part, 0o644); err != nil {
			t.Fatal(err)
		}
		found, err := f.Fetch(t.Context(), Jaeger, row, nil)
		wantInstalled(t, f, row, found, err)
		if fmt.Sprint(ranges) != fmt.Sprint(tt.ranges) {
			t.Errorf("%s: requests for %q, want %q", name, ranges, tt.ranges)
		}
	}
}

func TestFetchFails(t *testing.T) {
	t.Parallel()
	b := jaegerArchive()
	for name, tt := range map[string]struct {
		handle      func(n int64, w http.ResponseWriter, r *http.Request)
		change      func(*Fetcher, *Release)
		want        string
		unreachable bool
		kept        int // bytes for the next time
	}{
		"missing": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, want: ": 404 Not Found"},
		"wrong sum": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) },
			change: func(_ *Fetcher, r *Release) { r.SHA256 = strings.Repeat("0", 64) },
			want:   "jaeger-2.13.0-linux-amd64.tar.gz: wrong SHA-256, deleted: it is " + sumOf(b) + ", want " + strings.Repeat("0", 64)},
		"too large": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) },
			change: func(_ *Fetcher, r *Release) { r.Size-- },
			want:   fmt.Sprintf("wrong SHA-256, deleted: larger than %d bytes", len(b)-1)},
		"a page": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>Sign in") },
			change: func(_ *Fetcher, r *Release) { r.Size = 0 }, want: "wrong SHA-256, deleted: it is "},
		// The request is answered, and then nothing comes.
		"no first byte": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, change: func(f *Fetcher, _ *Release) { f.FirstByte = 50 * time.Millisecond }, want: ": not reachable: no data after 50ms", unreachable: true},
		"no answer": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			change: func(f *Fetcher, _ *Release) { f.FirstByte = 50 * time.Millisecond }, want: ": not reachable: no data after 50ms", unreachable: true},
		"stalls": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(b)))
			w.Write(b[:1000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, change: func(f *Fetcher, _ *Release) { f.Stall = 50 * time.Millisecond }, want: ": download interrupted: no data for 50ms", kept: 1000},
		"closed without a byte": {handle: func(int64, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: ": not reachable: EOF", unreachable: true},
		// Each connection brings one byte: it does not go on like this.
		"byte by byte": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { cut(w, r, 1) },
			want: ": download interrupted: unexpected EOF", kept: attempts},
		"no connection": {change: func(_ *Fetcher, r *Release) { r.URL = "http://" + clitest.ClosedAddr(t) + "/jaeger.tar.gz" },
			want: "/jaeger.tar.gz: not reachable: dial tcp 127.0.0.1:", unreachable: true},
		"no such host": {change: func(f *Fetcher, r *Release) {
			f.client.Transport.(*http.Transport).Proxy = nil // a proxy would respond
			r.URL = "http://host.invalid/jaeger.tar.gz"
		},
			want: "http://host.invalid/jaeger.tar.gz: not reachable: ", unreachable: true},
		"another version": {handle: func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) },
			change: func(_ *Fetcher, r *Release) { r.Version = "2.14.0" }, want: "jaeger-2.13.0-linux-amd64.tar.gz: its program has version 2.13.0", kept: len(b)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.handle)
			f, row := newFetcher(t, ""), release(s, b)
			if tt.change != nil {
				tt.change(f, &row)
			}
			_, err := f.Fetch(t.Context(), Jaeger, row, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "fetch jaeger "+row.Version+": ") || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrUnreachable) != tt.unreachable {
				t.Errorf("Fetch: %v, want … %s, unreachable %t", err, tt.want, tt.unreachable)
			}
			if got := size(filepath.Join(f.temp(), row.SHA256+".part")); got != int64(tt.kept) {
				t.Errorf("%d bytes are kept, want %d", got, tt.kept)
			}
			if _, ok := f.Installed(Jaeger, row); ok {
				t.Error("it is installed")
			}
			if _, err := os.Stat(filepath.Join(f.temp(), row.SHA256+".new")); err == nil {
				t.Error("the unpacked folder is left")
			}
		})
	}
}

// An archive that was to be fetched encrypted is not fetched otherwise.
func TestRedirectToHTTP(t *testing.T) {
	t.Parallel()
	plain := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	encrypted := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/jaeger.tar.gz", http.StatusFound))
	t.Cleanup(encrypted.Close)
	f, row := newFetcher(t, ""), release(plain, jaegerArchive())
	f.client.Transport = encrypted.Client().Transport
	row.URL = encrypted.URL + "/jaeger.tar.gz"
	if _, err := f.Fetch(t.Context(), Jaeger, row, nil); err == nil || !strings.Contains(err.Error(), "redirected from https to http") {
		t.Errorf("Fetch: %v, want redirected from https to http", err)
	}
}

// Package apidocs is the HTML page of the API's contract: Swagger UI. It is a separate package, so
// that only the services embed its files.
package apidocs

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	// Files only: compressed and without source maps, a tenth of Swagger UI's distribution.
	"github.com/swaggest/swgui/v5/static"
)

//go:embed page
var page embed.FS

// policy allows files and requests of the same origin, and Swagger UI's inline styles and images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is a file of the page, gzipped if packed.
type file struct {
	content []byte
	tag     string
	packed  bool
}

// files are the files of the page and of Swagger UI, by their URL path.
var files = sync.OnceValue(func() map[string]file {
	own, err := fs.Sub(page, "page")
	all := map[string]file{}
	for _, from := range []fs.FS{static.FS, own} {
		names, err2 := fs.Glob(from, "*")
		err = errors.Join(err, err2)
		for _, name := range names {
			content, err2 := fs.ReadFile(from, name)
			err = errors.Join(err, err2)
			name, packed := strings.CutSuffix(name, ".gz")
			all[name] = file{content, fmt.Sprintf("%.16x", sha256.Sum256(content)), packed}
		}
	}
	if err != nil {
		panic(err) // embedded
	}
	all[""] = all["index.html"]
	return all
})

// Handler serves the page at /, two folders below the contract. Browsers revalidate cached files.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		name, ok := strings.CutPrefix(r.URL.Path, "/")
		f, found := files()[name]
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		case !ok || !found:
			http.NotFound(w, r)
		default:
			f.serve(w, r, cmp.Or(name, "index.html"))
		}
	})
}

// serve sends a packed file without decompression to clients that accept gzip, as every browser does.
func (f file) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if f.packed {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r) {
			h.Set("Content-Encoding", "gzip")
			f.tag += "-gzip" // the gzipped bytes differ
		} else if err := f.unpack(); err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
	}
	h.Set("ETag", `"`+f.tag+`"`)
	if r.Header.Get("If-Match") == "" { // ServeContent sets no length for an encoded file, and does not remove it in a 412
		h.Set("Content-Length", strconv.Itoa(len(f.content)))
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
}

func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, quality, weighed := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if strings.EqualFold(name, "gzip") {
			return !weighed || strings.Trim(quality, "0.") != "" // q=0: not accepted
		}
	}
	return false
}

func (f *file) unpack() error {
	z, err := gzip.NewReader(bytes.NewReader(f.content))
	if err != nil {
		return err
	}
	f.content, err = io.ReadAll(z)
	return err
}

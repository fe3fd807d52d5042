// Package apidocs is the page that shows the API's contract: Swagger UI. It is a
// package of its own so that only programs that serve it carry its files.
package apidocs

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	// Only its files: they are compressed, a tenth of what Swagger UI's own distribution
	// takes, which has source maps.
	"github.com/swaggest/swgui/v5/static"
)

//go:embed page
var page embed.FS

// policy lets the page load what is served beside it, and send requests there. Swagger UI
// writes styles and pictures into the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at /, which stands two folders below the contract.
func Handler() http.Handler {
	own, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // its name is a constant
	}
	pages := http.FileServerFS(own)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		w.Header().Set("Content-Security-Policy", policy)
		if _, err := fs.Stat(own, name); name == "" || err == nil {
			pages.ServeHTTP(w, r)
			return
		}
		serveCompressed(w, r, name)
	})
}

// serveCompressed serves a file of Swagger UI, as it is to who takes that, which is every
// browser.
func serveCompressed(w http.ResponseWriter, r *http.Request, name string) {
	content, err := static.FS.ReadFile(name + ".gz")
	if err != nil {
		http.FileServerFS(static.FS).ServeHTTP(w, r) // its pictures; what is none is not found
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Add("Vary", "Accept-Encoding")
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
	} else if content, err = unpack(content); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(content) // the reader has left: nobody to tell
}

func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, quality, weighed := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if strings.EqualFold(name, "gzip") {
			return !weighed || strings.Trim(quality, "0.") != "" // q=0: not at all
		}
	}
	return false
}

func unpack(content []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/tsenart/vegeta/v12/lib/plot"

	"soundcheck/console/web"
)

// uPlot's files among vegeta's assets.
var uPlot = map[string]bool{"uPlot.min.js": true, "uPlot.min.css": true}

// asset returns a file of the pages.
func asset(name string) ([]byte, error) {
	if !uPlot[name] {
		return web.Files.ReadFile(name)
	}
	f, err := plot.Assets.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// assets serves the modules and styles. Each is asked for again, and sent again only if it
// has changed: a console that was built anew must not meet modules of the old one.
func assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/assets/")
		b, err := asset(name)
		if err != nil || strings.HasSuffix(name, ".html") {
			fail(w, http.StatusNotFound, "no such file")
			return
		}
		content(w, r, name, b)
	})
}

// page serves the document of every page.
func page(w http.ResponseWriter, r *http.Request) {
	b, err := asset("index.html")
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	content(w, r, "index.html", b)
}

var types = map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json; charset=utf-8"}

func content(w http.ResponseWriter, r *http.Request, name string, b []byte) {
	sum := sha256.Sum256(b)
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", fmt.Sprintf("%q", hex.EncodeToString(sum[:8])))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

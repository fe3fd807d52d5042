package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tsenart/vegeta/v12/lib/plot"

	"soundcheck/console/web"
)

// styles are the parts of the style sheet all.css, in order of precedence.
var styles = []string{"uPlot.min.css", "style.css", "styles/traces.css", "styles/dashboards.css", "styles/lab.css", "styles/logs.css", "styles/explore.css", "styles/control.css"}

// uPlot's files among vegeta's assets.
var uPlot = []string{"uPlot.min.js", "uPlot.min.css"}

// assetFiles are the modules and the style sheet of one build, below a folder named
// after their hash. A browser caches them for ever: the next build has another folder, so
// its document never loads modules of this one.
type assetFiles struct {
	folder   string            // "/assets/HASH/"
	files    map[string][]byte // by name
	document []byte            // of every page
	err      error
}

// readAssets reads the embedded files, once.
var readAssets = sync.OnceValue(func() (a assetFiles) {
	a.files = map[string][]byte{}
	if a.err = a.read(); a.err != nil {
		return a
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		fmt.Fprintf(sum, "%s %d\n%s", name, len(a.files[name]), a.files[name])
	}
	a.folder = "/assets/" + hex.EncodeToString(sum.Sum(nil)[:8]) + "/"
	a.document = bytes.ReplaceAll(a.files["index.html"], []byte("/assets/"), []byte(a.folder))
	delete(a.files, "index.html")
	return a
})

func (a assetFiles) read() error {
	err := fs.WalkDir(web.Files, ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			a.files[name], err = web.Files.ReadFile(name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the pages: %w", err)
	}
	for _, name := range uPlot {
		f, err := plot.Assets.Open(name)
		if err != nil {
			return fmt.Errorf("read uPlot: %w", err)
		}
		defer f.Close()
		if a.files[name], err = io.ReadAll(f); err != nil {
			return fmt.Errorf("read uPlot: %w", err)
		}
	}
	var all bytes.Buffer
	for _, name := range styles {
		all.Write(a.files[name])
		all.WriteByte('\n')
		delete(a.files, name)
	}
	a.files["all.css"] = all.Bytes()
	return nil
}

// asset serves a module or the style sheet.
func (a assetFiles) asset(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, a.folder)
	b := a.files[name]
	if !ok || b == nil {
		fail(w, http.StatusNotFound, "no such file")
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

// pages are the paths that web/app.js has a page for.
var pages = regexp.MustCompile(`^/(explore|dashboards|d/[^/]+|traces(/file)?|trace/[^/]+|map|logs|faults|runs(/[^/]+)?)?/?$`)

// page serves the document of every page, with 404 if there is no such page.
func (a assetFiles) page(w http.ResponseWriter, r *http.Request) {
	if a.err != nil {
		fail(w, http.StatusInternalServerError, a.err.Error())
		return
	}
	if !pages.MatchString(r.URL.Path) {
		w.Header().Set("Content-Type", types[".html"])
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(a.document) // an error means that the client has disconnected
		return
	}
	content(w, r, "index.html", a.document)
}

var types = map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json; charset=utf-8"}

// content serves a file that can change with the next build at the same URL: browsers revalidate
// it, and it is sent again only if it has changed. The ETag is weak: compressed, the content is
// the same and the bytes are not.
func content(w http.ResponseWriter, r *http.Request, name string, b []byte) {
	sum := sha256.Sum256(b)
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", fmt.Sprintf("W/%q", hex.EncodeToString(sum[:8])))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

package profiles

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

// Viewer shows profiles of a folder of runs:
//
//	GET /RUN/FILE/flamegraph   and top, peek, graph, download
//
// Their queries are those of pprof: f focuses on functions, tf on labels, as in tf=route=GET.
type Viewer struct {
	folder       string
	graphTimeout time.Duration
	graphs       chan struct{} // those that are being drawn

	open   map[File]map[string]http.Handler
	recent []File
}

// turn is held while the driver runs: it has global settings.
var turn sync.Mutex

// NewViewer returns the viewer of a folder of runs.
func NewViewer(folder string) *Viewer {
	return &Viewer{folder: folder, graphTimeout: graphTimeout, graphs: make(chan struct{}, maxGraphs), open: map[File]map[string]http.Handler{}}
}

// maxOpen is how many profiles are in memory.
const maxOpen = 4

// pages are the pages of pprof that are served. Others read source files and binaries, or write settings.
var pages = []string{"flamegraph", "top", "peek", "graph", "download"}

// ServeHTTP implements http.Handler.
func (v *Viewer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(parts) != 3 || !slices.Contains(pages, parts[2]) && parts[2] != "" {
		http.Error(w, "no such page: a profile has "+strings.Join(pages, ", "), http.StatusNotFound)
		return
	}
	f, ok := parse(parts[0], parts[1])
	if !ok || f.Run != filepath.Base(f.Run) || strings.HasPrefix(f.Run, ".") {
		http.Error(w, "no such profile", http.StatusNotFound)
		return
	}
	if parts[2] == "" {
		w.Header().Set("Location", "flamegraph") // http.Redirect would resolve it, without the prefix that was stripped
		w.WriteHeader(http.StatusFound)
		return
	}
	if parts[2] == "graph" {
		v.graph(w, r, f)
		return
	}
	v.show(w, r, f, parts[2])
}

// show responds with a page of a profile.
func (v *Viewer) show(w http.ResponseWriter, r *http.Request, f File, page string) {
	turn.Lock()
	defer turn.Unlock()
	handlers, err := v.handlers(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	handlers["/"+page].ServeHTTP(w, r)
}

// handlers returns the pages of a profile. The caller holds turn.
func (v *Viewer) handlers(f File) (map[string]http.Handler, error) {
	if h := v.open[f]; h != nil {
		return h, nil
	}
	p, err := read(v.folder, f)
	if err != nil {
		return nil, err
	}
	var h map[string]http.Handler
	err = driver.PProf(&driver.Options{
		Flagset: newFlags("-http=localhost:1", "-no_browser", "-symbolize=none", f.Name), // it does not listen
		Fetch:   fetcher{p},
		Obj:     noBinaries{},
		UI:      quiet{},
		HTTPServer: func(args *driver.HTTPServerArgs) error {
			h = args.Handlers
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	for _, name := range pages {
		if h["/"+name] == nil {
			return nil, fmt.Errorf("pprof has no page %s", name)
		}
	}
	v.open[f] = h
	if v.recent = append(v.recent, f); len(v.recent) > maxOpen {
		delete(v.open, v.recent[0])
		v.recent = v.recent[1:]
	}
	return h, nil
}

// fetcher is a driver.Fetcher with one profile. It names no source: of a profile with one, the driver stores a copy in
// the home directory.
type fetcher struct{ p *profile.Profile }

func (f fetcher) Fetch(string, time.Duration, time.Duration) (*profile.Profile, string, error) {
	return f.p, "", nil
}

// noBinaries is a driver.ObjTool that opens nothing: a profile can name any file.
type noBinaries struct{}

func (noBinaries) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errors.ErrUnsupported
}

func (noBinaries) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errors.ErrUnsupported
}

// quiet is a driver.UI without a terminal.
type quiet struct{}

func (quiet) ReadLine(string) (string, error)     { return "", errors.New("no terminal") }
func (quiet) Print(...any)                        {}
func (quiet) PrintErr(...any)                     {}
func (quiet) IsTerminal() bool                    { return false }
func (quiet) WantBrowser() bool                   { return false }
func (quiet) SetAutoComplete(func(string) string) {}

// flags is a driver.FlagSet with given arguments.
type flags struct {
	*flag.FlagSet
	args []string
}

func newFlags(args ...string) *flags {
	return &flags{flag.NewFlagSet("pprof", flag.ContinueOnError), args}
}

// StringList implements driver.FlagSet. No list is set.
func (f *flags) StringList(string, string, string) *[]*string { return new([]*string) }

// ExtraUsage implements driver.FlagSet.
func (*flags) ExtraUsage() string { return "" }

// AddExtraUsage implements driver.FlagSet.
func (*flags) AddExtraUsage(string) {}

// Parse implements driver.FlagSet.
func (f *flags) Parse(usage func()) []string {
	if err := f.FlagSet.Parse(f.args); err != nil {
		usage()
		return nil
	}
	return f.Args()
}

package profiles

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/proc"
)

// DrawCommand is the argument by which the console starts itself to draw one graph: see Draw.
const DrawCommand = "draw-profile-graph"

// graphTimeout is how long a graph may take: dot needs some seconds for a large one.
const graphTimeout = 15 * time.Second

// maxGraphs is how many graphs are drawn at once.
const maxGraphs = 2

// graph responds with the graph of a profile. It is drawn in a process of its own, because pprof runs dot without a
// deadline. At the deadline, if the client disconnects and if the console ends, the process ends with dot and what that
// has started.
func (v *Viewer) graph(w http.ResponseWriter, r *http.Request, f File) {
	if _, err := exec.LookPath("dot"); err != nil {
		noGraph(w, r, http.StatusNotImplemented, "Graphviz' dot is not installed on the machine of the console. Install Graphviz, and reload this page.")
		return
	}
	select {
	case v.graphs <- struct{}{}:
		defer func() { <-v.graphs }()
	case <-r.Context().Done():
		return
	case <-time.After(v.graphTimeout):
		noGraph(w, r, http.StatusServiceUnavailable, "Other graphs are being drawn. Reload this page later.")
		return
	}
	self, err := os.Executable()
	if err != nil {
		noGraph(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), v.graphTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, DrawCommand, v.folder, (&url.URL{Path: "/" + f.Run + "/" + f.Name + "/graph", RawQuery: r.URL.RawQuery}).String())
	cmd.SysProcAttr, cmd.WaitDelay, cmd.Stderr = proc.Group(), time.Second, &stderr
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	alive, err := cmd.StdinPipe() // closed by Wait, and by the kernel if this process ends
	if err != nil {
		noGraph(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	defer alive.Close()
	page, err := cmd.Output()
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		noGraph(w, r, http.StatusGatewayTimeout, fmt.Sprintf("Graphviz' dot did not draw the graph within %s, and was killed. A focus on fewer functions makes the graph smaller.", v.graphTimeout))
	case err != nil:
		noGraph(w, r, http.StatusInternalServerError, cmp.Or(strings.TrimSpace(stderr.String()), err.Error()))
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) // an error means that the client has disconnected
	}
}

// Draw writes the page of a graph: args are the folder of the runs and the URL of the page within it. When its standard
// input ends, the console has ended: then the process group, which it leads, is killed.
func Draw(args []string, stdout io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("%s needs a folder and a URL", DrawCommand)
	}
	r, err := http.NewRequest(http.MethodGet, args[1], nil)
	if err != nil {
		return err
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f, ok := parse(parts[0], parts[min(1, len(parts)-1)])
	if !ok {
		return errors.New("no such profile")
	}
	if syscall.Getpgrp() == os.Getpid() {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			_ = syscall.Kill(0, syscall.SIGKILL)
		}()
	}
	w := httptest.NewRecorder()
	NewViewer(args[0]).show(w, r, f, "graph")
	if w.Code != http.StatusOK {
		return errors.New(strings.TrimSpace(w.Body.String()))
	}
	_, err = stdout.Write(w.Body.Bytes())
	return err
}

// failed is the page in place of a graph.
var failed = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>No graph</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem } pre, p { white-space: pre-wrap; overflow-wrap: anywhere } li { margin: .25rem 0 }</style></head>
<body><h1>No graph</h1><p>{{.Text}}</p><p>These pages show the same profile without dot:</p>
<ul><li><a href="flamegraph{{.Query}}">Flame graph</a></li><li><a href="top{{.Query}}">Top functions</a></li><li><a href="peek{{.Query}}">Callers and callees</a></li><li><a href="download">Download</a>, for go tool pprof</li></ul></body></html>
`))

// noGraph responds with why there is no graph, and with links to the pages that need no dot.
func noGraph(w http.ResponseWriter, r *http.Request, status int, text string) {
	query := ""
	if r.URL.RawQuery != "" {
		query = "?" + r.URL.RawQuery
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = failed.Execute(w, map[string]any{"Text": text, "Query": template.URL(query)}) // an error means that the client has disconnected
}

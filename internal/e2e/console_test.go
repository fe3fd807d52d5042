package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"soundcheck/console/logs"
	"soundcheck/lab/supervisor"
	"soundcheck/loadgen/report"
)

// testConsole asks the console for what its pages show of the lab: the programs, the one
// run, and the log lines of a trace that Jaeger has.
func (l *lab) testConsole(t *testing.T, trace string) {
	var now struct {
		Phase  string
		Status supervisor.Status
	}
	getJSON(t, l.Console()+"/-/lab", &now)
	if now.Phase != "up" || len(now.Status.Components) != len(l.Components()) {
		t.Errorf("%s, %d programs, want up and %d", now.Phase, len(now.Status.Components), len(l.Components()))
	}
	for _, p := range now.Status.Components {
		if p.Version == "" {
			t.Errorf("nobody knows the version of %s", p.Name)
		}
	}
	var page logs.Page
	getJSON(t, l.Console()+"/-/logs?trace="+trace, &page)
	services := map[string]int{}
	for _, line := range page.Lines {
		if line.TraceID == trace {
			services[line.Service]++
		}
	}
	if services["proxy-service"] == 0 || services["album-store"] == 0 {
		t.Errorf("lines of the trace %s: %v, want some of both services", trace, services)
	}
	var list struct {
		Runs []struct{ ID string }
	}
	getJSON(t, l.Console()+"/-/runs", &list)
	if len(list.Runs) != 1 {
		t.Fatalf("runs: %+v, want one", list.Runs)
	}
	var run struct{ Report report.Report }
	getJSON(t, l.Console()+"/-/runs/"+list.Runs[0].ID, &run)
	if want := l.Jaeger() + "/trace/"; run.Report.Traces != want || len(run.Report.Slowest) == 0 {
		t.Errorf("traces are at %q, want %q; slowest: %v", run.Report.Traces, want, run.Report.Slowest)
	}
	for _, path := range []string{l.Console() + "/", l.Jaeger() + "/", fmt.Sprintf("%s/trace/%s", l.Jaeger(), trace)} {
		resp, err := http.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "<title>Soundcheck</title>") {
			t.Errorf("%s: %s %v %.100s", path, resp.Status, err, body)
		}
	}
}

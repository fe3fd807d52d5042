package server

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// maxRuns is the max number of runs listed: loadgen itself keeps 50.
const maxRuns = 200

// maxReport is the max size of a report in bytes: those of loadgen have about 1 MB.
const maxReport = 64 << 20

// runID matches the folder name of a run. It is not a path.
var runID = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]{0,99}$`)

// runFiles are the files of a run that are served, with their types.
var runFiles = map[string]string{
	"report.json": "application/json", "report.txt": "text/plain; charset=utf-8", "report.html": "text/html; charset=utf-8",
	"response.hgrm": "text/plain; charset=utf-8", "service.hgrm": "text/plain; charset=utf-8", "send_delay.hgrm": "text/plain; charset=utf-8",
	"response.hlog": "text/plain; charset=utf-8", "service.hlog": "text/plain; charset=utf-8", "send_delay.hlog": "text/plain; charset=utf-8",
	"lag.hgrm": "text/plain; charset=utf-8", "lag.hlog": "text/plain; charset=utf-8", // of older runs
}

// reportPolicy is the Content-Security-Policy of a run's HTML report, which has inline scripts
// and styles. It is isolated from the console's pages and can load nothing. Its links work.
const reportPolicy = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox; default-src 'none'; script-src 'unsafe-inline'; " +
	"style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// runs reads loadgen's run history directory.
type runs struct {
	folder string
	shown  string // the folder on the host; "": unknown in a container

	mu   sync.Mutex
	seen map[string]listed // by id

	busy chan struct{} // held while a full report is read: see turn
}

// listed is an entry of the list, with the size and time of its file.
type listed struct {
	run
	size     int64
	modified time.Time
}

// run is an entry of the list of runs.
type run struct {
	ID         string                `json:"id"`
	Started    time.Time             `json:"started_at,omitzero"`
	Name       string                `json:"name,omitempty"`
	Target     string                `json:"target,omitempty"`
	Plan       string                `json:"plan,omitempty"`
	Elapsed    float64               `json:"elapsed,omitempty"`      // s, with warm-up
	WarmUp     float64               `json:"warm_up_time,omitempty"` // s, part of Elapsed
	RateTarget float64               `json:"rate_target,omitempty"`
	RateActual float64               `json:"rate_actual,omitempty"`
	Sent       int                   `json:"sent,omitempty"`
	Classes    map[measure.Class]int `json:"classes,omitempty"`
	P50        float64               `json:"p50,omitempty"` // s
	P99        float64               `json:"p99,omitempty"`
	Verdict    string                `json:"verdict"` // see verdict
	Because    string                `json:"because,omitempty"`
	Problem    string                `json:"problem,omitempty"` // why it is unreadable
	Finished   bool                  `json:"finished"`          // it has a report
}

func newRuns(c Config) *runs {
	r := &runs{folder: filepath.Join(c.State, "runs"), seen: map[string]listed{}, busy: make(chan struct{}, 1)}
	if len(c.Containers) == 0 {
		r.shown = r.folder
	}
	return r
}

// turn waits until no other request reads a report. It ends with leave, unless the client
// has disconnected.
func (rs *runs) turn(r *http.Request) error {
	select {
	case rs.busy <- struct{}{}:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

func (rs *runs) leave() { <-rs.busy }

// list responds with the runs, the newest first.
func (rs *runs) list(*http.Request) (any, error) {
	entries, err := os.ReadDir(rs.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []run{}
	for _, e := range entries {
		if e.IsDir() && runID.MatchString(e.Name()) {
			list = append(list, rs.one(e.Name()))
		}
	}
	rs.forget(entries)
	slices.SortStableFunc(list, func(a, b run) int { return b.Started.Compare(a.Started) })
	more := len(list) > maxRuns
	return map[string]any{"runs": list[:min(len(list), maxRuns)], "more": more, "folder": rs.shown}, nil
}

// forget drops cached entries of deleted runs.
func (rs *runs) forget(entries []fs.DirEntry) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	maps.DeleteFunc(rs.seen, func(id string, _ listed) bool {
		return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == id })
	})
}

// one returns the entry of a run. It is read again if its report changed.
func (rs *runs) one(id string) run {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	st, err := os.Stat(filepath.Join(rs.folder, id, "report.json"))
	if err != nil {
		r := run{ID: id, Started: begun(id), Verdict: "unfinished"}
		if first, last, written, err := report.ReadProgress(filepath.Join(rs.folder, id)); err == nil {
			r.Name, r.Target = first.Name, first.Target
			if live(last, written) {
				r.Verdict = "running"
			}
		}
		return r
	}
	if l, ok := rs.seen[id]; ok && l.size == st.Size() && l.modified.Equal(st.ModTime()) {
		return l.run
	}
	l := listed{size: st.Size(), modified: st.ModTime()}
	r, err := rs.read(id)
	if err != nil {
		l.run = run{ID: id, Started: begun(id), Verdict: "unreadable", Problem: err.Error(), Finished: true}
	} else {
		l.run = run{ID: id, Started: r.StartedAt, Name: r.Name, Target: r.Target, Plan: planOf(r), Elapsed: r.Elapsed, WarmUp: r.WarmUpTime, RateTarget: r.RateTarget, RateActual: r.RateActual,
			Sent: r.Sent, Classes: r.Classes, P50: r.Response.P50, P99: r.Response.P99, Finished: true}
		l.Verdict, l.Because = verdict(r)
	}
	rs.seen[id] = l
	return l.run
}

// begun parses the time at the start of a run ID.
func begun(id string) time.Time {
	text, _, _ := strings.Cut(id, "-")
	t, _ := time.Parse("20060102T150405Z", text)
	return t
}

func (rs *runs) read(id string) (*report.Report, error) {
	folder := filepath.Join(rs.folder, id)
	if st, err := os.Stat(filepath.Join(folder, "report.json")); err == nil && st.Size() > maxReport {
		return nil, fmt.Errorf("report of %s has %d bytes, more than %d", id, st.Size(), maxReport)
	}
	return report.Read(folder)
}

func planOf(r *report.Report) string {
	switch {
	case r.Replay != "":
		return "replay of " + path.Base(r.Replay)
	case r.Flow != nil && r.Flow.Users != "": // stages
		return "users " + r.Flow.Users
	case r.Flow != nil && r.Model == "closed":
		return plural(r.Workers, "user")
	case r.Model == "closed":
		return plural(r.Workers, "worker")
	}
	return r.Stages
}

// plural formats a count with its noun.
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// verdict returns the result of a run, as loadgen's exit codes do, and why.
func verdict(r *report.Report) (string, string) {
	completed, bad := r.Sent-r.Cancelled, r.Unserved()
	switch {
	case completed == 0:
		return "failed", "no request was counted"
	case len(r.Invalid) > 0:
		return "invalid", r.Invalid[0]
	case r.Violated() > 0:
		return "violated", fmt.Sprintf("%d of %s violated", r.Violated(), plural(len(r.SLOs), "SLO"))
	case len(r.SLOs) > 0:
		return "met", plural(len(r.SLOs), "SLO") + " met"
	case bad > 0:
		return "failed", fmt.Sprintf("%d of %s failed or shed", bad, plural(completed, "request"))
	}
	return "good", "every request was served"
}

// check returns an error if there is no run of an id, or none with a report.
func (rs *runs) check(id string) error {
	if !runID.MatchString(id) {
		return failure(http.StatusBadRequest, "invalid run ID %q", id)
	}
	if st, err := os.Lstat(filepath.Join(rs.folder, id)); err != nil || !st.IsDir() {
		return failure(http.StatusNotFound, "no run %s in %s", id, rs.folder)
	}
	if _, err := os.Stat(filepath.Join(rs.folder, id, "report.json")); err != nil {
		return failure(http.StatusNotFound, "run %s has no report: it is in progress, or was killed before it wrote one", id)
	}
	return nil
}

// kept returns the report of a run. The caller holds turn.
func (rs *runs) kept(id string) (*report.Report, error) {
	if err := rs.check(id); err != nil {
		return nil, err
	}
	r, err := rs.read(id)
	if err != nil {
		return nil, failure(http.StatusUnprocessableEntity, "%v", err)
	}
	return r, nil
}

// report responds with a run's report, without its histograms, and its verdict.
func (rs *runs) report(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if err := rs.turn(r); err != nil {
		return nil, err
	}
	defer rs.leave()
	report, err := rs.kept(id)
	if err != nil {
		return nil, err
	}
	files := slices.DeleteFunc(slices.Sorted(maps.Keys(runFiles)), func(name string) bool {
		_, err := os.Stat(filepath.Join(rs.folder, id, name))
		return err != nil
	})
	report.Histograms = nil
	for i := range report.Intervals {
		report.Intervals[i].HDR = ""
	}
	found := map[string]any{"id": id, "folder": filepath.Join(rs.folder, id), "report": report, "files": files}
	found["verdict"], found["because"] = verdict(report)
	found["advice"] = report.Advices()
	return found, nil
}

// file responds with one of a run's files.
func (rs *runs) file(w http.ResponseWriter, r *http.Request) {
	id, name := r.PathValue("id"), r.PathValue("file")
	f, modified, err := rs.open(id, name)
	if err != nil {
		respond(func(*http.Request) (any, error) { return nil, err })(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", runFiles[name])
	w.Header().Set("Cache-Control", "no-cache")
	if name == "report.html" {
		w.Header().Set("Content-Security-Policy", reportPolicy)
	}
	http.ServeContent(w, r, name, modified, f)
}

// open opens one of a run's files.
func (rs *runs) open(id, name string) (f *os.File, modified time.Time, err error) {
	if err := rs.check(id); err != nil {
		return nil, modified, err
	}
	if runFiles[name] == "" {
		return nil, modified, failure(http.StatusNotFound, "no such run file")
	}
	f, err = os.OpenInRoot(filepath.Join(rs.folder, id), name) // nothing leads out of it
	if err != nil {
		return nil, modified, failure(http.StatusNotFound, "run %s has no %s", id, name)
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, modified, failure(http.StatusNotFound, "run %s has no %s", id, name)
	}
	return f, st.ModTime(), nil
}

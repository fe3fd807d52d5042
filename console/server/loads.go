package server

import (
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	"soundcheck/console/load"
	"soundcheck/loadgen/report"
)

// loadStatus responds with the current load test, or the last one.
func loadStatus(c Config) func(*http.Request) (any, error) {
	return func(*http.Request) (any, error) {
		if c.Load == nil {
			return load.Status{State: load.Idle}, nil
		}
		return c.Load.Status(), nil
	}
}

// loadCommand responds with the command for the values of the query.
func loadCommand(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if c.Load == nil {
			return nil, failure(http.StatusConflict, "this console starts no load tests")
		}
		text, err := c.Load.Command(r.Context(), load.Values(r.URL.Query()))
		return map[string]string{"command": text}, loadFailure(err)
	}
}

// startLoad starts a load test with values of loadgen's flags.
func startLoad(c Config) func(*http.Request, load.Values) (any, error) {
	return func(r *http.Request, values load.Values) (any, error) {
		if c.Load == nil {
			return nil, failure(http.StatusConflict, "this console starts no load tests")
		}
		if err := c.Load.Start(r.Context(), values); err != nil {
			return nil, loadFailure(err)
		}
		return c.Load.Status(), nil
	}
}

// stopLoad interrupts the load test.
func stopLoad(c Config) func(*http.Request, struct{}) (any, error) {
	return func(*http.Request, struct{}) (any, error) {
		if c.Load == nil {
			return nil, loadFailure(load.ErrIdle)
		}
		if err := c.Load.Stop(); err != nil {
			return nil, loadFailure(err)
		}
		return c.Load.Status(), nil
	}
}

// loadFailure gives an error its status.
func loadFailure(err error) error {
	if bad, ok := errors.AsType[*load.BadValue](err); ok {
		return &problem{http.StatusBadRequest, bad.Text, bad.Flag}
	}
	for _, conflict := range []error{load.ErrBusy, load.ErrIdle, load.ErrDown} {
		if errors.Is(err, conflict) {
			return failure(http.StatusConflict, "%v", conflict)
		}
	}
	return err
}

// Times after which a run without progress was interrupted.
const (
	staleAfter     = 10 * time.Second
	staleAnalysing = 2 * time.Minute // it waits for traces, and flushes telemetry
)

// live reports whether a run with these snapshots is in progress.
func live(last []report.Progress, written time.Time) bool {
	after := staleAfter
	if n := len(last); n > 0 && last[n-1].Phase == report.Analysing {
		after = staleAnalysing
	}
	return time.Since(written) < after
}

// progress responds with the progress of a run without a report.
func (rs *runs) progress(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if !runID.MatchString(id) {
		return nil, failure(http.StatusBadRequest, "invalid run ID %q", id)
	}
	first, last, written, err := report.ReadProgress(filepath.Join(rs.folder, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failure(http.StatusNotFound, "run %s has no progress: it has ended, or was interrupted", id)
	} else if err != nil {
		return nil, err
	}
	return map[string]any{"id": id, "first": first, "progress": last, "live": live(last, written)}, nil
}

package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"soundcheck/loadgen/report"
)

// finish completes the merged report.
func (r *run) finish() (*report.Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = false // one that is still decoded comes too late
	if !slices.Contains(r.got, true) {
		if len(r.invalid) > 0 {
			return nil, fmt.Errorf("no report: %s", r.invalid[0])
		}
		return nil, errors.New("no report")
	}
	m, err := r.merger.Finish()
	if err != nil {
		return nil, err
	}
	m.Invalid = few(append(r.invalid, m.Invalid...))
	m.Ended = cmp.Or(r.ended, m.Ended)
	// The plan is also of workers that were lost.
	if r.Planned > 0 && m.Flow != nil {
		m.Flow.Planned, m.Flow.RateTarget = r.Planned, r.RateTarget
	} else if r.Planned > 0 {
		m.Planned, m.RateTarget = r.Planned, r.RateTarget
	}
	m.Workers = r.Users
	return m, nil
}

// maxReasons is the max number of reasons in a report: what is wrong may be so at all workers.
const maxReasons = 10

func few(reasons []string) []string {
	if len(reasons) <= maxReasons {
		return reasons
	}
	return append(reasons[:maxReasons-1:maxReasons-1], fmt.Sprintf("%d more reasons", len(reasons)-maxReasons+1))
}

// errUnexpected rejects a result before the start, after the end, or of another run.
var errUnexpected = errors.New("no result of this worker is expected")

// expects reports whether the run has begun, and has not ended.
func (r *run) expects() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// result receives the report of a worker.
func (c *Coordinator) result(w http.ResponseWriter, req *http.Request) {
	c.mu.Lock()
	r := c.run
	c.mu.Unlock()
	i, err := strconv.Atoi(req.Header.Get(indexHeader))
	if r == nil || err != nil || i < 0 || i >= c.Workers || req.Header.Get(runHeader) != strconv.Itoa(r.number) || !r.expects() {
		http.Error(w, errUnexpected.Error(), http.StatusConflict)
		return
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-req.Context().Done():
		return
	}
	err = r.add(i, http.MaxBytesReader(w, req.Body, c.maxResult))
	r.post(event{worker: i, done: true, result: err})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// add merges the report of a worker.
func (r *run) add(i int, body io.Reader) error {
	b, err := io.ReadAll(body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return fmt.Errorf("its report has more than %d bytes", tooLarge.Limit)
	} else if err != nil {
		return fmt.Errorf("its report: %w", err)
	}
	part, err := report.DecodePart(b)
	if err != nil {
		return fmt.Errorf("invalid report: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		return errUnexpected
	}
	if r.got[i] {
		return errors.New("a second report of the same run")
	}
	if want := fmt.Sprintf("%d/%d", i+1, len(r.members)); len(r.members) > 1 && part.Shard != want {
		return fmt.Errorf("a report of shard %q instead of %s", part.Shard, want)
	}
	part.StartedAt = part.StartedAt.Add(-r.offsets[i].Ahead)
	if err := r.merger.Add(part); err != nil {
		return err
	}
	r.got[i] = true
	return nil
}

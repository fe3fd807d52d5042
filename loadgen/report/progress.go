package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"soundcheck/loadgen/measure"
)

// progressFile has a Progress a line, the last one is the newest. It exists until the report does; of a
// run that was killed it stays.
const progressFile = "progress.jsonl"

// Phase is what a run does.
type Phase string

// The phases of a run, in order.
const (
	Begins    Phase = "starting" // before the first request
	Running   Phase = "running"
	Analysing Phase = "analysing" // all requests were sent: it fetches traces for tail-latency attribution
)

// Progress is a snapshot of a run, about one a second. Times are in seconds, rates in req/s.
type Progress struct {
	At         time.Time             `json:"at"`
	Phase      Phase                 `json:"phase"`
	PID        int                   `json:"pid,omitempty"` // only in the first line, as target and name are
	Target     string                `json:"target,omitempty"`
	Name       string                `json:"name,omitempty"`
	StartsIn   float64               `json:"starts_in,omitempty"`
	Elapsed    float64               `json:"elapsed,omitempty"`
	Duration   float64               `json:"duration,omitempty"`    // estimated, if a number of requests ends the run
	RateTarget float64               `json:"rate_target,omitempty"` // 0: closed model
	RateActual float64               `json:"rate_actual"`           // of the last second, as P50, P99 and SendDelay
	P50        float64               `json:"p50"`                   // response time of served requests
	P99        float64               `json:"p99"`
	SendDelay  float64               `json:"send_delay"` // longest
	InFlight   int                   `json:"in_flight"`
	Users      int                   `json:"users,omitempty"`
	Requests   int                   `json:"requests"` // so far, as Classes and P99All
	Classes    map[measure.Class]int `json:"classes,omitempty"`
	P99All     float64               `json:"p99_all,omitempty"`
}

// beginProgress creates the file of the progress.
func (f *Folder) beginProgress(first Progress) error {
	file, err := os.Create(filepath.Join(f.path, progressFile))
	f.progress = file
	if err == nil {
		err = f.Progress(first)
	}
	return err
}

// Progress appends a snapshot, for those who watch the run.
func (f *Folder) Progress(p Progress) error {
	if f.progress == nil {
		return nil
	}
	b, err := json.Marshal(p)
	if err == nil {
		_, err = f.progress.Write(append(b, '\n')) // at once: a reader sees whole lines
	}
	return err
}

// endProgress removes the file.
func (f *Folder) endProgress() error {
	if f.progress == nil {
		return nil
	}
	err := errors.Join(f.progress.Close(), os.Remove(f.progress.Name()))
	f.progress = nil
	return err
}

// maxTail is how much of the end of a progress file is read, in bytes: about 20 minutes.
const maxTail = 512 << 10

// ReadProgress returns the first and the last snapshots of a run in a directory, oldest first, and when the
// last one was written. A directory without any is fs.ErrNotExist.
func ReadProgress(path string) (first Progress, last []Progress, at time.Time, err error) {
	file, err := os.Open(filepath.Join(path, progressFile))
	if err != nil {
		return first, nil, at, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return first, nil, at, err
	}
	head := make([]byte, 64<<10) // a long URL
	n, err := file.ReadAt(head, 0)
	line, _, whole := bytes.Cut(head[:n], []byte("\n"))
	if err != nil && err != io.EOF {
		return first, nil, at, err
	}
	if !whole {
		return first, nil, at, fs.ErrNotExist // it is being created
	}
	if err := json.Unmarshal(line, &first); err != nil {
		return first, nil, at, err
	}
	from := max(st.Size()-maxTail, 0)
	tail, err := io.ReadAll(io.NewSectionReader(file, from, st.Size()-from))
	if err != nil {
		return first, nil, at, err
	}
	lines := bytes.Split(tail, []byte("\n"))
	if from > 0 {
		lines = lines[1:] // a part of a line
	}
	for _, line := range lines[:max(len(lines)-1, 0)] {
		var p Progress
		if err := json.Unmarshal(line, &p); err != nil {
			return first, nil, at, err
		}
		last = append(last, p)
	}
	return first, last, st.ModTime(), nil
}

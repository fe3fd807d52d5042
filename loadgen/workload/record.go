package workload

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"soundcheck/loadgen/schedule"
)

// recordingVersion is that of a recording's format.
const recordingVersion = 1

// recordingHead is the first line of a recording.
type recordingHead struct {
	Soundcheck string `json:"soundcheck"` // "recording"
	Version    int    `json:"version"`
	RunID      string `json:"run_id"`
}

// entry is each line after it: a request, in the order in which they are due.
type entry struct {
	Due      time.Duration `json:"due_ns"` // from the beginning
	Scenario string        `json:"scenario"`
	Want     int           `json:"want,omitempty"` // status
	Method   string        `json:"method"`
	Path     string        `json:"path"` // behind the service's URL; of -targets the whole URL
	Header   http.Header   `json:"header,omitempty"`
	Body     []byte        `json:"body,omitempty"` // base64
}

func (e *entry) request() *Request {
	return &Request{Scenario: Lookup(e.Scenario), Method: e.Method, Path: e.Path, Header: e.Header, Body: e.Body, want: e.Want}
}

// Recorder writes down each request of a run, so that ReadRecording can have them
// sent again.
type Recorder struct {
	file *os.File

	mu      sync.Mutex
	w       *bufio.Writer
	enc     *json.Encoder
	next    uint64
	last    time.Duration    // of what is written
	waiting map[uint64]entry // for one before them
	err     error
}

// NewRecorder makes a recording of a run. The file must not be there. Only its owner can
// read it: the requests of -targets may hold passwords and tokens.
func NewRecorder(path, runID string) (*Recorder, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(file, 1<<18)
	r := &Recorder{file: file, w: w, enc: json.NewEncoder(w), waiting: map[uint64]entry{}}
	r.err = r.enc.Encode(recordingHead{"recording", recordingVersion, runID})
	return r, nil
}

// Add writes request seq of a run, which was due at a time from the beginning of the plan,
// when those before it are written.
func (r *Recorder) Add(seq uint64, due time.Duration, q *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[seq] = entry{due, q.Scenario.Name, q.want, q.Method, q.Path, q.Header, q.Body}
	for ; ; r.next++ {
		e, ok := r.waiting[r.next]
		if !ok {
			return
		}
		delete(r.waiting, r.next)
		// In the closed model a request's time is taken when its worker runs, which may be
		// after the next one's.
		e.Due = max(e.Due, r.last)
		r.last = e.Due
		if r.err == nil {
			r.err = r.enc.Encode(e)
		}
	}
}

// Close ends the recording, and returns the first error of writing it.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 && r.err == nil {
		r.err = fmt.Errorf("request %d was never made: %d after it are not recorded", r.next, len(r.waiting))
	}
	return errors.Join(r.err, r.w.Flush(), r.file.Close())
}

// Recording is a file of requests to be sent again.
type Recording struct {
	Path string // of the file

	requests  uint64
	last      time.Duration // when the last request is due
	scenarios []string
	targets   bool // the file says whole URLs

	file *os.File
	dec  *json.Decoder
	// The last requests by number modulo schedule.Window: the worker that reads one has
	// taken up a request that was paced after it was written.
	entries []entry
	count   uint64 // of requests that were read since Open
}

// ReadRecording reads a recording to its end, so that what is wrong with it is found
// before anything is sent. At most so many of its requests are sent; 0: all.
func ReadRecording(path string, limit uint64) (*Recording, error) {
	r := &Recording{Path: path}
	if err := r.open(); err != nil {
		return nil, err
	}
	defer r.Close()
	for line, previous := 2, time.Duration(0); ; {
		e, err := r.read()
		if errors.Is(err, io.EOF) {
			break
		}
		switch s := Lookup(e.Scenario); {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case s == nil:
			return nil, fmt.Errorf("line %d: there is no scenario %q", line, e.Scenario)
		case e.Due < previous || e.Due > schedule.MaxDuration:
			return nil, fmt.Errorf("line %d: due_ns is before the line above it, or after 24h", line)
		case !methodPattern.MatchString(e.Method):
			return nil, fmt.Errorf("line %d: %q is no method", line, e.Method)
		case s == ownTarget:
			r.targets = true
		case len(e.Path) == 0 || e.Path[0] != '/':
			return nil, fmt.Errorf("line %d: the path does not begin with /", line)
		}
		line++
		previous = e.Due
		if limit == 0 || r.requests < limit {
			r.requests++
			r.last = e.Due
			if !slices.Contains(r.scenarios, e.Scenario) {
				r.scenarios = append(r.scenarios, e.Scenario)
			}
		}
	}
	if r.requests == 0 {
		return nil, errors.New("there is no request in it")
	}
	return r, nil
}

// Open begins a replay. The caller closes the recording at its end.
func (r *Recording) Open() error {
	r.entries, r.count = make([]entry, schedule.Window), 0
	return r.open()
}

func (r *Recording) open() (err error) {
	if r.file, err = os.Open(r.Path); err != nil {
		return err
	}
	r.dec = json.NewDecoder(bufio.NewReaderSize(r.file, 1<<18))
	var head recordingHead
	if err := r.dec.Decode(&head); err != nil || head.Soundcheck != "recording" {
		r.file.Close()
		return errors.New("that is no recording")
	}
	if head.Version != recordingVersion {
		r.file.Close()
		return fmt.Errorf("it is of version %d, not %d", head.Version, recordingVersion)
	}
	r.dec.DisallowUnknownFields() // who edits a recording learns of a wrong name
	return nil
}

func (r *Recording) read() (e entry, err error) {
	if err = r.dec.Decode(&e); err == nil && len(e.Header) > 0 {
		e.Header, err = normalizeHeader(e.Header, len(e.Body))
	}
	return e, err
}

// Close ends a replay.
func (r *Recording) Close() error { return r.file.Close() }

// Replay returns the times of the requests, for a plan. Open comes before its Next.
func (r *Recording) Replay() *schedule.Replay {
	return &schedule.Replay{Requests: r.requests, Last: r.last, Next: r.next}
}

// next reads one request more.
func (r *Recording) next() (due time.Duration, err error) {
	e, err := r.read()
	r.entries[r.count%schedule.Window] = e
	r.count++
	return e.Due, err
}

// Targets reports whether the recording says whole URLs, so that it needs no other.
func (r *Recording) Targets() bool { return r.targets }

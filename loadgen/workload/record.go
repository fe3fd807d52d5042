package workload

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/targets"
)

// recordingVersion is that of a recording's format.
const recordingVersion = 1

// recordingHead is the first line of a recording.
type recordingHead struct {
	Soundcheck string `json:"soundcheck"` // "recording"
	Version    int    `json:"version"`
	RunID      string `json:"run_id"`
}

// entry is each following line: a request, in the order of the scheduled times.
type entry struct {
	Scheduled time.Duration `json:"scheduled_ns"` // since the start
	Scenario  string        `json:"scenario"`
	Want      int           `json:"want,omitempty"`   // status
	Expect    string        `json:"expect,omitempty"` // statuses, in place of want, of a scenario that is not of the album API
	Method    string        `json:"method"`
	Path      string        `json:"path"` // relative to the service's URL; of -targets the full URL
	Header    http.Header   `json:"header,omitempty"`
	Withheld  []string      `json:"withheld,omitempty"` // names of headers that are secrets
	Body      []byte        `json:"body,omitempty"`     // base64

	Due time.Duration `json:"due_ns,omitempty"` // deprecated name of Scheduled; read only
}

func (e *entry) request() (r *Request, err error) {
	r = &Request{Scenario: Lookup(e.Scenario), Method: e.Method, Path: e.Path, Header: e.Header, Body: e.Body, want: e.Want}
	if e.Expect != "" {
		r.expect = new(Statuses)
		if r.Scenario, err = e.scenario(); err == nil {
			err = r.expect.UnmarshalText([]byte(e.Expect))
		}
		return r, err
	}
	if r.full() {
		r.url, err = url.Parse(r.Path)
	}
	return r, err
}

// scenario returns the scenario of a request with its own expected statuses.
func (e *entry) scenario() (*Scenario, error) {
	if !namePattern.MatchString(e.Scenario) {
		return nil, fmt.Errorf("%q is not the name of a scenario", e.Scenario)
	}
	if err := new(Statuses).UnmarshalText([]byte(e.Expect)); err != nil {
		return nil, fmt.Errorf("expect: %w", err)
	}
	return &Scenario{Name: e.Scenario}, nil
}

// Recorder writes each request of a run to a file, for ReadRecording.
type Recorder struct {
	file *os.File

	mu      sync.Mutex
	w       *bufio.Writer
	enc     *json.Encoder
	next    uint64
	last    time.Duration    // scheduled time of the last written request
	waiting map[uint64]entry // not written yet: an earlier request is missing
	err     error
}

// NewRecorder creates a recording. The file must not exist. Headers that are secrets are not in it, nor is
// the password of a URL: their names are. Only the owner can read the file, because other headers, queries
// and bodies may have secrets too.
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

// Add writes request seq, with its scheduled time since the start of the plan, after all
// requests before it.
func (r *Recorder) Add(seq uint64, scheduled time.Duration, q *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := entry{Scheduled: scheduled, Scenario: q.Scenario.Name, Want: q.want, Method: q.Method, Path: q.Path, Body: q.Body}
	if q.generated != nil {
		e.Expect = q.generated.Statuses()
	}
	e.Header, e.Withheld = targets.WithoutSecrets(q.Header)
	if u, err := url.Parse(q.Path); err == nil && u.User != nil {
		if u.User = nil; !slices.Contains(e.Withheld, "Authorization") {
			e.Withheld = append(e.Withheld, "Authorization")
		}
		e.Path = u.String()
	}
	slices.Sort(e.Withheld)
	r.waiting[seq] = e
	for ; ; r.next++ {
		e, ok := r.waiting[r.next]
		if !ok {
			return
		}
		delete(r.waiting, r.next)
		// In the closed model a worker sets the time when it runs, maybe after the worker of
		// the next request.
		e.Scheduled = max(e.Scheduled, r.last)
		r.last = e.Scheduled
		if r.err == nil {
			r.err = r.enc.Encode(e)
		}
	}
}

// Close completes the recording and returns the first write error.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 && r.err == nil {
		r.err = fmt.Errorf("request %d is missing: %d later requests not recorded", r.next, len(r.waiting))
	}
	return errors.Join(r.err, r.w.Flush(), r.file.Close())
}

// Recording is a file of requests to replay.
type Recording struct {
	Path string // of the file

	requests  uint64
	last      time.Duration // scheduled time of the last request
	scenarios []string
	targets   bool     // the paths are full URLs
	album     bool     // the requests are those of the album API
	withheld  []string // names of headers that are secrets

	file *os.File
	dec  *json.Decoder
	// The last requests by number modulo schedule.Window. A worker reads one after it was
	// paced.
	entries []entry
	count   uint64 // requests read since Open
}

// ReadRecording reads and checks a whole recording before anything is sent. Limit is the max
// number of requests to replay; 0: all.
func ReadRecording(path string, limit uint64) (*Recording, error) {
	r := &Recording{Path: path, album: true}
	if err := r.open(); err != nil {
		return nil, err
	}
	defer r.Close()
	for line, previous := 2, time.Duration(0); ; {
		e, err := r.read()
		if errors.Is(err, io.EOF) {
			break
		}
		s := Lookup(e.Scenario)
		if err == nil && e.Expect != "" {
			s, err = e.scenario()
			r.album = false
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case s == nil:
			return nil, fmt.Errorf("line %d: unknown scenario %q", line, e.Scenario)
		case e.Scheduled < previous || e.Scheduled > schedule.MaxDuration:
			return nil, fmt.Errorf("line %d: scheduled_ns is out of range: previous line to 24h", line)
		case !targets.IsMethod(e.Method):
			return nil, fmt.Errorf("line %d: %q is not a method", line, e.Method)
		case s == targetScenario && len(e.Path) > 0 && e.Path[0] != '/':
			r.targets, r.album = true, false
		case len(e.Path) == 0 || e.Path[0] != '/':
			return nil, fmt.Errorf("line %d: the path does not begin with /", line)
		}
		address := e.Path
		if address[0] == '/' {
			address = "http://service" + address
		}
		if err := targets.CheckURL(address); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		line++
		previous = e.Scheduled
		if limit == 0 || r.requests < limit {
			r.requests++
			r.last = e.Scheduled
			if !slices.Contains(r.scenarios, e.Scenario) {
				r.scenarios = append(r.scenarios, e.Scenario)
			}
			for _, name := range e.Withheld {
				if !slices.Contains(r.withheld, name) {
					r.withheld = append(r.withheld, name)
				}
			}
		}
	}
	if r.requests == 0 {
		return nil, errors.New("no request in the recording")
	}
	return r, nil
}

// Open begins a replay. The caller closes the recording.
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
		return errors.New("not a recording")
	}
	if head.Version != recordingVersion {
		r.file.Close()
		return fmt.Errorf("recording version %d, want %d", head.Version, recordingVersion)
	}
	r.dec.DisallowUnknownFields() // report typos in an edited recording
	return nil
}

func (r *Recording) read() (e entry, err error) {
	if err = r.dec.Decode(&e); err == nil && len(e.Header) > 0 {
		if err = targets.CheckHeader(e.Header); err == nil {
			e.Header, err = targets.NormalizeHeader(e.Header, len(e.Body))
		}
	}
	if e.Due != 0 {
		e.Scheduled, e.Due = e.Due, 0
	}
	return e, err
}

// Close ends a replay.
func (r *Recording) Close() error { return r.file.Close() }

// Replay returns the schedule of the requests. Call Open before its Next.
func (r *Recording) Replay() *schedule.Replay {
	return &schedule.Replay{Requests: r.requests, Last: r.last, Next: r.next}
}

// next reads the next request.
func (r *Recording) next() (scheduled time.Duration, err error) {
	e, err := r.read()
	r.entries[r.count%schedule.Window] = e
	r.count++
	return e.Scheduled, err
}

// Withheld returns the name of a header that the requests had, that is a secret and that over does not
// have; "": there is none.
func (r *Recording) Withheld(over http.Header) string {
	for _, name := range r.withheld {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(over)), func(s string) bool { return strings.EqualFold(s, name) }) {
			return name
		}
	}
	return ""
}

// Targets reports whether the recording has full URLs.
func (r *Recording) Targets() bool { return r.targets }

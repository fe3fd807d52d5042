// Package cluster runs one load test on many workers: a coordinator gives each worker a shard of
// the plan, starts them together by their own clocks, shows live numbers, and merges their reports
// exactly. It does not know what a worker sends: see Runner.
//
// A worker holds one HTTP/2 stream to the coordinator, POST /v1/join, with JSON messages in both
// directions, one a line. The result of a run is a request of its own: POST /v1/result. Each request
// has the token of the run as a Bearer token.
package cluster

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"soundcheck/loadgen/measure"
)

// protocol is the version of the messages. A worker of another version is rejected.
const protocol = "1"

// Headers of requests.
const (
	protocolHeader = "Soundcheck-Load-Protocol"
	indexHeader    = "Soundcheck-Load-Worker" // the worker's index; absent: any
	runHeader      = "Soundcheck-Load-Run"    // number of the run that a result is of
)

// Limits of messages, in bytes.
const (
	maxMessage = 1 << 20   // of a worker
	maxTask    = 64 << 20  // with all targets of a file
	maxResult  = 256 << 20 // with all histograms
)

// Limits of time.
const (
	pingAfter   = 2 * time.Second // without a frame, each side sends an HTTP/2 PING …
	pingTimeout = 8 * time.Second // … and ends the connection without a response: a busy machine may be slow
)

// MaxWorkers is the max number of workers.
const MaxWorkers = 1000

// Task is the part of one worker in a run.
type Task struct {
	RunID   string          `json:"run_id"`
	Run     int             `json:"run"` // number of the run, from 1: a search has many
	Worker  int             `json:"worker"`
	Workers int             `json:"workers"`
	Config  json.RawMessage `json:"config"` // for the Runner
}

// Update is what a worker measured since its last Update.
type Update struct {
	InFlight int            `json:"in_flight"`
	Users    int            `json:"users,omitempty"` // on their way through a flow
	Done     int            `json:"done,omitempty"`  // users who completed or failed
	Delay    time.Duration  `json:"delay"`           // longest send delay
	Parts    []measure.Part `json:"parts"`
}

// toWorker is a message to a worker. One field is set.
type toWorker struct {
	Hello   *hello     `json:"hello,omitempty"`
	Ping    uint64     `json:"ping,omitempty"`
	Prepare *Task      `json:"prepare,omitempty"`
	Start   *time.Time `json:"start,omitempty"` // by the worker's clock
	End     string     `json:"end,omitempty"`   // send no more requests, for this reason
	Cancel  bool       `json:"cancel,omitempty"`
	Bye     *bye       `json:"bye,omitempty"`
}

// hello is the response to a worker that joins.
type hello struct {
	Worker  int `json:"worker"`
	Workers int `json:"workers"`
}

// bye ends a worker.
type bye struct {
	Error string `json:"error,omitempty"`
}

// fromWorker is a message of a worker. One field is set.
type fromWorker struct {
	Pong    *pong      `json:"pong,omitempty"`
	Ready   *outcome   `json:"ready,omitempty"`
	Started *time.Time `json:"started,omitempty"` // start of the plan by the worker's clock, from the first request that it sent
	Live    *Update    `json:"live,omitempty"`
	Ended   *outcome   `json:"ended,omitempty"` // the result follows, unless there is an error
}

type pong struct {
	Ping uint64    `json:"ping"`
	Now  time.Time `json:"now"`
}

// outcome is the end of something, in a run.
type outcome struct {
	Run     int    `json:"run"`
	Error   string `json:"error,omitempty"`
	Stopped bool   `json:"stopped,omitempty"` // the worker's process got a signal
}

// stream sends and receives messages.
type stream struct {
	mu    sync.Mutex    // of enc and flush
	enc   *json.Encoder // nil: closed
	flush func() error
	dec   *json.Decoder
	limit *limited
}

func newStream(w io.Writer, flush func() error, r io.Reader, maxMessage int64) *stream {
	l := &limited{r: r, max: maxMessage}
	return &stream{enc: json.NewEncoder(w), flush: flush, dec: json.NewDecoder(l), limit: l}
}

func (s *stream) send(message any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(message)
}

// write is send for the owner of mu.
func (s *stream) write(message any) error {
	if s.enc == nil {
		return io.ErrClosedPipe
	}
	if err := s.enc.Encode(message); err != nil {
		return err
	}
	return s.flush()
}

// close lets later calls of send fail: net/http panics on a write after a handler has returned.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enc = nil
}

// receive reads the next message.
func (s *stream) receive(message any) error {
	s.limit.read = 0
	return s.dec.Decode(message)
}

// limited ends with an error when more than max bytes are read for one message.
type limited struct {
	r         io.Reader
	read, max int64
}

func (l *limited) Read(b []byte) (int, error) {
	if l.read >= l.max {
		return 0, fmt.Errorf("a message is longer than %d bytes", l.max)
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.max-l.read)])
	l.read += int64(n)
	return n, err
}

// authorized reports whether a request has the token.
func authorized(r *http.Request, token string) bool {
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(token)) == 1
}

// reason is an error of a connection, in words for a report.
func reason(err error) string {
	switch {
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended"
	case strings.Contains(err.Error(), "client disconnected"), strings.Contains(err.Error(), "connection reset"), strings.Contains(err.Error(), "stream error"):
		return "the connection ended"
	}
	return err.Error()
}

package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/report"
)

// Runner sends the requests of a worker. Its methods are called one after the other.
type Runner interface {
	// Prepare does what must be done before the start of a run.
	Prepare(ctx context.Context, t Task) error
	// Run runs the task, beginning at a time of this machine's clock. It ends early, with a report,
	// when ctx ends: at once.
	Run(ctx context.Context, t Task, start time.Time, h Hooks) (*report.Report, error)
	// Delivered is called when the coordinator has the report.
	Delivered(t Task, r *report.Report)
}

// Hooks are what a Runner calls.
type Hooks struct {
	// Sent is called after the first request was sent, with its scheduled time since the start and the
	// time at which it was sent.
	Sent func(scheduled time.Duration, sent time.Time)
	// Live is called every second, and at the end.
	Live func(Update)
	// End has a reason to send no more requests, when there is one.
	End <-chan string
}

// Worker is a worker of a distributed run.
type Worker struct {
	URL    string // of the coordinator
	Token  string
	Index  int // negative: the coordinator's choice
	Runner Runner
	Log    func(string) // for the user
	// Ahead is an error of the clock, for tests.
	Ahead time.Duration
	// Patience is how long to wait for a coordinator that does not respond.
	Patience time.Duration
}

// Rejected is the coordinator's answer to a worker that it does not want.
type Rejected struct{ Status, Text string }

// Error implements error.
func (e *Rejected) Error() string {
	return fmt.Sprintf("the coordinator responded %s: %s", e.Status, e.Text)
}

const (
	joinTimeout  = 10 * time.Second
	retryJoin    = 500 * time.Millisecond
	firstReport  = 5 * time.Second  // of waiting for the coordinator
	leaveTimeout = 15 * time.Second // to deliver the report after a signal
	resultExtent = 5 * time.Minute  // max duration of sending a result, with the wait for its turn
)

// client speaks HTTP/2 only: HTTP/1.1 cannot send and receive at the same time.
func client() *http.Client {
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	// ExpectContinueTimeout: a result is encoded and sent when its turn has come.
	return &http.Client{Transport: &http.Transport{ExpectContinueTimeout: resultExtent, Protocols: &p, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}}}
}

// Join joins a coordinator and does what it says, until it says that all is done. It waits for a
// coordinator that is not there yet. It returns an error if the coordinator is lost.
func (w Worker) Join(ctx context.Context) error {
	began, said := time.Now(), false
	c := client()
	defer c.CloseIdleConnections()
	for {
		s, err := w.join(ctx, c)
		if err == nil {
			return s.serve()
		}
		var rejected *Rejected
		if errors.As(err, &rejected) || ctx.Err() != nil {
			return err
		}
		if waited := time.Since(began); waited > w.Patience {
			return fmt.Errorf("no coordinator at %s for %s: %w", w.URL, w.Patience, err)
		} else if waited > firstReport && !said {
			said = true
			w.log("waiting for the coordinator at %s: %v", w.URL, err)
		}
		select {
		case <-time.After(retryJoin):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w Worker) log(format string, args ...any) {
	if w.Log != nil {
		w.Log(fmt.Sprintf(format, args...))
	}
}

// now is the time of the worker's clock.
func (w Worker) now() time.Time { return time.Now().Add(w.Ahead).Round(0) }

func (w Worker) request(ctx context.Context, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(w.URL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+w.Token)
	req.Header.Set(protocolHeader, protocol)
	return req, nil
}

// join connects. A worker without a coordinator has no session.
func (w Worker) join(ctx context.Context, c *http.Client) (*session, error) {
	process := ctx
	ctx, end := context.WithCancelCause(context.WithoutCancel(process))
	defer context.AfterFunc(process, func() { end(context.Cause(process)) })()
	r, pipe := io.Pipe()
	context.AfterFunc(ctx, func() { pipe.CloseWithError(context.Cause(ctx)) }) // net/http waits for the body, whatever ctx says
	req, err := w.request(ctx, "/v1/join", r)
	if err != nil {
		end(nil)
		return nil, &Rejected{"no request", err.Error()}
	}
	if w.Index >= 0 {
		req.Header.Set(indexHeader, strconv.Itoa(w.Index))
	}
	timeout := time.AfterFunc(joinTimeout, func() { end(errors.New("no response")) })
	resp, err := c.Do(req)
	if err != nil {
		end(nil)
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		end(nil)
		return nil, rejection(resp, text)
	}
	s := &session{Worker: w, process: process, ctx: ctx, end: end, client: c, stream: newStream(pipe, func() error { return nil }, resp.Body, maxTask)}
	var m toWorker
	switch err := s.receive(&m); {
	case errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) || err == nil && m.Hello == nil: // such as a web page
		end(nil)
		return nil, &Rejected{resp.Status, "it is no coordinator: its response is not what workers expect"}
	case err != nil:
		end(nil)
		return nil, fmt.Errorf("no response: %s", reason(err))
	}
	if !timeout.Stop() {
		end(nil)
		return nil, errors.New("no response")
	}
	s.hello = *m.Hello
	return s, nil
}

// rejection is the error of a response. A gateway or a starting pod may respond with 5xx: that is no
// rejection, except that HTTP/1.1 arrives, which no time changes.
func rejection(resp *http.Response, text []byte) error {
	e := &Rejected{resp.Status, strings.TrimSpace(string(text))}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusHTTPVersionNotSupported {
		return errors.New(e.Error())
	}
	return e
}

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"soundcheck/loadgen/report"
)

// session is a worker's connection to a coordinator.
type session struct {
	Worker
	hello
	*stream
	process context.Context // it ends before the session, which delivers what was measured
	ctx     context.Context
	end     context.CancelCauseFunc // of the session, with everything that runs in it
	client  *http.Client

	task  *Task
	ended chan string   // reason to send no more requests
	done  chan struct{} // closed when nothing of the task runs

	mu     sync.Mutex
	cancel context.CancelFunc // of the task
}

// serve does what the coordinator says.
func (s *session) serve() (err error) {
	defer func() {
		s.end(err)
		s.wait()
	}()
	defer context.AfterFunc(s.process, s.leave)()
	s.log("joined %s as worker %d of %d", s.URL, s.hello.Worker, s.Workers)
	for {
		var m toWorker
		if err := s.receive(&m); err != nil {
			if cause := context.Cause(s.ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("the coordinator was lost: %s", reason(err))
		}
		switch {
		case m.Ping > 0:
			err = s.send(fromWorker{Pong: &pong{m.Ping, s.now()}})
		case m.Prepare != nil:
			s.prepare(*m.Prepare)
		case m.Start != nil && s.task != nil:
			s.start(*m.Start)
		case m.End != "" && s.ended != nil:
			select {
			case s.ended <- m.End:
			default: // a second one
			}
		case m.Cancel:
			s.stop()
		case m.Bye != nil && m.Bye.Error != "":
			return fmt.Errorf("the coordinator ended the run: %s", m.Bye.Error)
		case m.Bye != nil:
			return context.Cause(s.process) // nil, unless it got a signal
		}
		if err != nil {
			return fmt.Errorf("the coordinator was lost: %s", reason(err))
		}
	}
}

// stop ends the task. It reports whether there is one.
func (s *session) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
	return s.cancel != nil
}

// leave ends the session after the process got a signal: at once if nothing was measured, else the
// coordinator gets it first.
func (s *session) leave() {
	if s.stop() {
		time.AfterFunc(leaveTimeout, func() { s.end(context.Cause(s.process)) })
	} else {
		s.end(context.Cause(s.process))
	}
}

// wait waits until nothing of the task runs.
func (s *session) wait() {
	if s.done != nil {
		<-s.done
	}
}

// background runs a part of the task. An error of sending ends the session.
func (s *session) background(do func(ctx context.Context) error) {
	before, done := s.done, make(chan struct{})
	s.done = done
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	if s.process.Err() != nil {
		cancel()
	}
	go func() {
		defer close(done)
		defer cancel()
		if before != nil {
			<-before
		}
		if err := do(ctx); err != nil {
			s.end(err)
		}
	}()
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *session) prepare(t Task) {
	s.task, s.ended = &t, make(chan string, 1)
	s.background(func(ctx context.Context) error {
		err := s.Runner.Prepare(ctx, t)
		return s.send(fromWorker{Ready: &outcome{Run: t.Run, Error: text(err)}})
	})
}

func (s *session) start(at time.Time) {
	t, ended := *s.task, s.ended
	s.background(func(ctx context.Context) error {
		h := Hooks{
			Sent: func(scheduled time.Duration, sent time.Time) {
				began := sent.Add(s.Ahead - scheduled).Round(0)
				_ = s.send(fromWorker{Started: &began}) // the next message has the same error
			},
			Live: func(u Update) { _ = s.send(fromWorker{Live: &u}) },
			End:  ended,
		}
		r, err := s.Runner.Run(ctx, t, at.Add(-s.Ahead), h)
		if e := s.send(fromWorker{Ended: &outcome{Run: t.Run, Error: text(err), Stopped: s.process.Err() != nil}}); e != nil || err != nil {
			return e
		}
		if err := s.result(t, r); err != nil {
			return err
		}
		s.Runner.Delivered(t, r)
		return nil
	})
}

// result sends the report of a run. It does so after the run was cancelled, too.
func (s *session) result(t Task, r *report.Report) error {
	r.StartedAt = r.StartedAt.Add(s.Ahead) // as this worker's clock shows it
	ctx, cancel := context.WithTimeout(s.ctx, resultExtent)
	defer cancel()
	req, err := s.request(ctx, "/v1/result", &lazy{report: r})
	if err != nil {
		return err
	}
	req.Header.Set("Expect", "100-continue")
	req.Header.Set(indexHeader, strconv.Itoa(t.Worker))
	req.Header.Set(runHeader, strconv.Itoa(t.Run))
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("send the result: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return rejection(resp, text)
	}
	return nil
}

// lazy is an encoded report. It is encoded when it is first read.
type lazy struct {
	report *report.Report
	body   *bytes.Reader
}

// Read implements io.Reader.
func (l *lazy) Read(b []byte) (int, error) {
	if l.body == nil {
		text, err := report.EncodePart(l.report)
		if err != nil {
			return 0, err
		}
		l.body = bytes.NewReader(text)
	}
	return l.body.Read(b)
}

// Encode writes a task's configuration, up to the size that workers accept.
func Encode(config any) (json.RawMessage, error) {
	b, err := json.Marshal(config)
	if len(b) > maxTask/2 {
		return nil, fmt.Errorf("the workers' task has %d bytes, and at most %d are possible", len(b), maxTask/2)
	}
	return b, err
}

// Decode reads a task's configuration strictly: a worker must not ignore what it does not know.
func Decode(config json.RawMessage, into any) error {
	d := json.NewDecoder(bytes.NewReader(config))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

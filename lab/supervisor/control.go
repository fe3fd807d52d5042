package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"soundcheck/lab/plan"
)

// PollInterval is how often a client polls the status while it waits.
const PollInterval = 150 * time.Millisecond

// respondTimeout limits Connect, Status and Stop: on a busy machine the supervisor responds late. Tests shorten it.
var respondTimeout = 15 * time.Second

// maxSocketPath is the smaller of Linux' and macOS' limits for a socket's path.
const maxSocketPath = 103

func listen(state string) (net.Listener, error) {
	path := filepath.Join(state, socketName)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("state folder path %s is too long for a socket: max %d characters; set another with -state",
			state, maxSocketPath-len(socketName)-1)
	}
	os.Remove(path) // of a supervisor that was killed: this process has the lock
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// control serves the clients:
//
//	GET  /status                Status as JSON
//	GET  /database              the album store's database, with its password: the socket is the user's alone
//	POST /stop                  202; the lab stops
//	POST /restart?name=NAME     200 once the component is ready
//	POST /exercise              a plan.Exercise as JSON; 200 once it is in place
//	DELETE /exercise            200 once the lab is as before; also without an exercise
func (s *Supervisor) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(s.Status())
	})
	mux.HandleFunc("GET /database", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s.lab.DB) })
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		s.stop(errStopRequested)
	})
	mux.HandleFunc("POST /restart", func(w http.ResponseWriter, r *http.Request) {
		if err := s.restart(r.Context(), r.FormValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /exercise", func(w http.ResponseWriter, r *http.Request) {
		var e plan.Exercise
		err := json.NewDecoder(r.Body).Decode(&e)
		if err == nil {
			err = s.beginExercise(r.Context(), e)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("DELETE /exercise", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.endExercise(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// restart rebuilds a component if its sources changed, and restarts it.
func (s *Supervisor) restart(ctx context.Context, name string) error {
	r := s.find(name)
	if r == nil {
		return fmt.Errorf("no component %q", name)
	}
	if !isClosed(r.ready) {
		return fmt.Errorf("%s has not been ready yet", name)
	}
	stopping := func() error { return fmt.Errorf("the lab is stopping: %w", context.Cause(ctx)) }
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return stopping()
	}
	if r.Command != "" { // nothing to build
	} else if r.found.Path != "" { // only a restart changes it, and this is the only one
		found, err := r.Program.Again(ctx, r.found)
		if ctx.Err() != nil {
			return stopping()
		} else if err != nil {
			return fmt.Errorf("restart %s: %w", name, err) // the running process continues
		}
		s.set(func() { r.found = found })
	} else if !s.build.Fresh(r.Target) {
		if err := r.rebuild(ctx); ctx.Err() != nil {
			return stopping()
		} else if err != nil {
			return err // the running process continues
		}
	}
	result := make(chan error, 1)
	select {
	case r.restart <- result:
	case <-ctx.Done():
		return stopping()
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return stopping()
	}
}

// Client talks to the supervisor that owns a state folder.
type Client struct{ http *http.Client }

// NewClient returns a client of the supervisor of state.
func NewClient(state string) *Client {
	path := filepath.Join(state, socketName)
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}}
}

// Connect returns a client of the supervisor that owns state, and its status. The client is nil if there is none.
// A supervisor that is starting or stopping may not respond yet: Connect waits until it responds or exits.
func Connect(ctx context.Context, state string) (*Client, Status, error) {
	c := NewClient(state)
	for deadline := time.Now().Add(respondTimeout); ; {
		running, err := Running(state)
		if err != nil || !running {
			return nil, Status{}, err
		}
		limited, cancel := context.WithDeadline(ctx, deadline)
		st, err := c.Status(limited)
		cancel()
		switch {
		case err == nil:
			return c, st, nil
		case ctx.Err() != nil:
			return nil, st, ctx.Err()
		case time.Until(deadline) < PollInterval:
			lab := state
			if saved, _ := Saved(state); saved != nil {
				lab = fmt.Sprintf("%s (pid %d)", state, saved.Supervisor.PID)
			}
			return nil, st, fmt.Errorf("a lab is running in %s but does not respond: %w", lab, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(PollInterval / 3):
		}
	}
}

// Status returns the lab's status.
func (c *Client) Status(ctx context.Context) (st Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, respondTimeout)
	defer cancel()
	b, err := c.do(ctx, http.MethodGet, "/status", nil)
	if err != nil {
		return st, err
	}
	err = json.Unmarshal(b, &st)
	return st, err
}

// Database returns the flag -db of the lab, with its password.
func (c *Client) Database(ctx context.Context) (string, error) {
	b, err := c.do(ctx, http.MethodGet, "/database", nil)
	return string(b), err
}

// Stop requests that the lab stop, and does not wait.
func (c *Client) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, respondTimeout)
	defer cancel()
	_, err := c.do(ctx, http.MethodPost, "/stop", nil)
	return err
}

// Restart restarts a component, and returns when it is ready.
func (c *Client) Restart(ctx context.Context, name string) error {
	_, err := c.do(ctx, http.MethodPost, "/restart?name="+url.QueryEscape(name), nil)
	return err
}

// BeginExercise changes the lab for an exercise, and returns when its components are ready. If one
// does not start, the lab is as before.
func (c *Client) BeginExercise(ctx context.Context, e plan.Exercise) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, "/exercise", bytes.NewReader(body))
	if err != nil && strings.HasPrefix(err.Error(), "404 ") { // from before there were exercises
		return errors.New("the running lab is of an older version: lab down, then lab up")
	}
	return err
}

// EndExercise ends the active exercise, and returns when the lab is as before.
func (c *Client) EndExercise(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodDelete, "/exercise", nil)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = errors.New(strings.TrimSpace(string(b)))
	}
	return b, err
}

package cluster

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// watchers are clients that follow the run: each gets a stream of JSON lines.
type watchers struct {
	mu     sync.Mutex
	list   map[*watcher]bool
	last   json.RawMessage // the final message, which late watchers get too
	missed bool            // a watcher left before the final message
	onStop func()
}

type watcher struct {
	lines chan json.RawMessage
}

const (
	watchQueue    = 16 // of messages; a watcher that is slower misses some
	watchPatience = 30 * time.Second
)

// Publish sends a message to all watchers.
func (c *Coordinator) Publish(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	c.watch.publish(b, false)
	return nil
}

// Finish sends the last message to all watchers, and waits until those that ever came have it, for a
// while: a forward may have broken just now.
func (c *Coordinator) Finish(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	c.watch.publish(b, true)
	c.watch.wait(watchPatience)
	return nil
}

// OnStop sets what a watcher's POST /v1/stop does.
func (c *Coordinator) OnStop(stop func()) {
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	c.watch.onStop = stop
}

func (w *watchers) publish(b json.RawMessage, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil { // nothing follows the last one
		return
	}
	if last {
		w.last = b
		for one := range w.list {
			close(one.lines) // after what is queued, it takes w.last
		}
		return
	}
	for one := range w.list {
		select {
		case one.lines <- b:
		default:
		}
	}
}

// open reports whether a watcher still wants the final message.
func (w *watchers) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.list) > 0 || w.missed
}

func (w *watchers) wait(patience time.Duration) {
	for deadline := time.Now().Add(patience); w.open() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// serve streams the messages until the last one.
func (w *watchers) serve(rw http.ResponseWriter, r *http.Request) {
	one := &watcher{lines: make(chan json.RawMessage, watchQueue)}
	w.mu.Lock()
	if w.list == nil {
		w.list = map[*watcher]bool{}
	}
	w.list[one] = true
	w.missed = false
	if w.last != nil {
		close(one.lines)
	}
	w.mu.Unlock()
	complete := false
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.list, one)
		w.missed = w.missed || !complete
	}()
	control := http.NewResponseController(rw)
	rw.Header().Set("Content-Type", "application/x-ndjson")
	write := func(b json.RawMessage) bool {
		_, err := rw.Write(append(b[:len(b):len(b)], '\n'))
		return err == nil && control.Flush() == nil
	}
	if control.Flush() != nil {
		return
	}
	for {
		select {
		case b, more := <-one.lines:
			if !more {
				w.mu.Lock()
				b = w.last
				w.mu.Unlock()
				complete = write(b)
				return
			}
			if !write(b) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// stop ends the run.
func (w *watchers) stop(rw http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	stop := w.onStop
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
	rw.WriteHeader(http.StatusAccepted)
}

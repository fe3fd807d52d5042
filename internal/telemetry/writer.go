package telemetry

import (
	"io"
	"sync"
)

// maxUnwritten is how many bytes of log lines may wait to be written. Who logs
// more waits.
const maxUnwritten = 1 << 20

// writer writes log lines in the background, without delay but many at once when
// there are many: a system call for each line would be a tenth of a request.
type writer struct {
	w    io.Writer
	done chan struct{}

	mu     sync.Mutex
	change sync.Cond
	lines  []byte // not yet written
	ended  bool
}

func newWriter(w io.Writer) *writer {
	a := &writer{w: w, done: make(chan struct{})}
	a.change.L = &a.mu
	go a.run()
	return a
}

// Write takes p over. After the end it writes at once.
func (a *writer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.lines) > maxUnwritten && !a.ended {
		a.change.Wait()
	}
	if a.ended {
		a.mu.Unlock() // run needs it to see the end
		<-a.done
		a.mu.Lock()
		return a.w.Write(p)
	}
	if len(a.lines) == 0 {
		a.change.Broadcast()
	}
	a.lines = append(a.lines, p...)
	return len(p), nil
}

func (a *writer) run() {
	defer close(a.done)
	var out []byte
	a.mu.Lock()
	for {
		for len(a.lines) == 0 && !a.ended {
			a.change.Wait()
		}
		if len(a.lines) == 0 {
			a.mu.Unlock()
			return
		}
		out, a.lines = a.lines, out[:0]
		a.change.Broadcast()
		a.mu.Unlock()
		_, _ = a.w.Write(out) // nobody could be told: this is the log
		a.mu.Lock()
	}
}

// end returns when everything is written.
func (a *writer) end() {
	a.mu.Lock()
	a.ended = true
	a.change.Broadcast()
	a.mu.Unlock()
	<-a.done
}

package telemetry

import (
	"io"
	"sync"
)

// maxUnwritten is the maximum size of buffered log lines, in bytes. Above it, Write blocks.
const maxUnwritten = 1 << 20

// writer writes log lines in the background, without delay, but many at once under load: a system call
// per line would cost a tenth of a request.
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

// Write buffers p. After end it writes directly.
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
		_, _ = a.w.Write(out) // cannot be logged: this is the log
		a.mu.Lock()
	}
}

// end flushes the buffer.
func (a *writer) end() {
	a.mu.Lock()
	a.ended = true
	a.change.Broadcast()
	a.mu.Unlock()
	<-a.done
}

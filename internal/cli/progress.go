package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// PlainInterval is the time between two progress lines in output that is not a terminal.
const PlainInterval = 5 * time.Second

// Progress shows the progress of a task. On a terminal it overwrites its lines; elsewhere it
// writes one line every PlainInterval. It is safe for concurrent use.
type Progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	last     time.Time
	shown    int // lines
}

// NewProgress returns a Progress on w, usually stderr.
func NewProgress(w io.Writer) *Progress {
	return &Progress{w: w, terminal: isTerminal(w), last: time.Now()}
}

// Show shows text. Off a terminal it writes nothing before PlainInterval has passed.
func (p *Progress) Show(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.terminal:
		p.clear()
		if text != "" {
			// Line wrap is off: clear counts newlines.
			fmt.Fprintf(p.w, "\x1b[?7l%s\x1b[?7h", text)
			p.shown = 1 + strings.Count(text, "\n")
		}
	case text != "" && time.Since(p.last) >= PlainInterval:
		fmt.Fprintln(p.w, text)
		p.last = time.Now()
	}
}

// Line writes a line that is not overwritten.
func (p *Progress) Line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, text)
	p.last = time.Now()
}

// Clear removes the progress from the terminal.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *Progress) clear() {
	if p.shown == 0 {
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K", strings.Repeat("\x1b[A\x1b[K", p.shown-1))
	p.shown = 0
}

// Terminal reports whether the output is a terminal.
func (p *Progress) Terminal() bool { return p.terminal }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

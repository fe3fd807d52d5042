package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// PlainInterval is how often a line of progress is written where no terminal is.
const PlainInterval = 5 * time.Second

// Progress shows how far something is: on a terminal as a line that is written
// over, elsewhere as a line every PlainInterval.
type Progress struct {
	w        io.Writer
	terminal bool
	last     time.Time
	shown    bool
}

// NewProgress returns a Progress on w, usually stderr.
func NewProgress(w io.Writer) *Progress {
	return &Progress{w: w, terminal: isTerminal(w), last: time.Now()}
}

// Show shows text, or, where it is not its time yet, nothing.
func (p *Progress) Show(text string) {
	switch {
	case p.terminal:
		p.Clear()
		if text != "" {
			fmt.Fprint(p.w, text)
			p.shown = true
		}
	case text != "" && time.Since(p.last) >= PlainInterval:
		fmt.Fprintln(p.w, text)
		p.last = time.Now()
	}
}

// Line writes a line that stays.
func (p *Progress) Line(text string) {
	p.Clear()
	fmt.Fprintln(p.w, text)
	p.last = time.Now()
}

// Clear removes what a terminal shows.
func (p *Progress) Clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

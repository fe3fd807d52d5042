package cli

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// On a terminal what is shown is written over, however many lines it had.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := &Progress{w: &b, terminal: true}
	p.Show("one\ntwo\nthree")
	p.Show("four")
	p.Line("five")
	p.Clear()
	const show, end, clear, up = "\x1b[?7l", "\x1b[?7h", "\r\x1b[K", "\x1b[A\x1b[K"
	if want := show + "one\ntwo\nthree" + end + clear + up + up + show + "four" + end + clear + "five\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(&b)
		p.Show("not yet its time")
		time.Sleep(PlainInterval)
		p.Show("now")
		p.Show("again not")
		p.Clear()
		if b.String() != "now\n" || p.Terminal() {
			t.Errorf("%q, want one line", b.String())
		}
	})
}

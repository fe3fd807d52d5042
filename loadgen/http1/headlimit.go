package http1

import (
	"fmt"
	"io"
	"math"
)

// MaxHead is the max size in bytes of a response's header, including informational responses
// before it: net/http's limit.
const MaxHead = 10 << 20

// ErrLongHead is that of a response whose header is longer than MaxHead.
var ErrLongHead = fmt.Errorf("the response headers are longer than %d MiB", MaxHead>>20)

// headLimit is a reader with a limit on the response header. It counts only while a header is
// read.
type headLimit struct {
	r    io.Reader
	left int
}

func (l *headLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrLongHead
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	if l.left != math.MaxInt {
		l.left -= n
	}
	return n, err
}

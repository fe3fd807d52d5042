package engine

import (
	"fmt"
	"io"
	"math"
)

// maxHead is the max size in bytes of a response's header, including informational responses
// before it: net/http's limit.
const maxHead = 10 << 20

var errLongHead = fmt.Errorf("the response headers are longer than %d MiB", maxHead>>20)

// headLimit is a reader with a limit on the response header. It counts only while a header is
// read.
type headLimit struct {
	r    io.Reader
	left int
}

func (l *headLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongHead
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	if l.left != math.MaxInt {
		l.left -= n
	}
	return n, err
}

package engine

import (
	"fmt"
	"io"
	"math"
)

// maxHead is how many bytes of a response's head are read, with those of the informational
// responses before it: net/http's own limit.
const maxHead = 10 << 20

var errLongHead = fmt.Errorf("the response headers are longer than %d MiB", maxHead>>20)

// headLimit ends a response whose head has no end. What is left of the limit is counted
// only while a head is read.
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

// Package command runs programs of the user, such as docker and kubectl, for their output.
package command

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// Limits of a run.
type Limits struct {
	Time   time.Duration
	Output int // bytes
}

// Default limits: a log of a verification is read in seconds.
var Default = Limits{30 * time.Second, 128 << 20}

// maxStderr is how many bytes of stderr Output returns: its end, where the cause is.
const maxStderr = 500

// bounded stores the output of a command, up to a limit. It embeds no buffer: io.Copy
// would use its ReadFrom, which has no limit.
type bounded struct {
	data []byte
	max  int
	over error // returned beyond the limit
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.max-len(b.data))
	b.data = append(b.data, p[:n]...)
	if n < len(p) {
		return n, b.over
	}
	return n, nil
}

// Tail is the last 4 KiB of what a program writes, such as its stderr.
type Tail struct {
	mu   sync.Mutex
	data []byte
}

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	const most = 4096
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	t.data = t.data[max(0, len(t.data)-most):]
	return len(p), nil
}

// String returns it without the space around it.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.data))
}

// Output runs a command and returns what it writes. The error is that of ctx if that ended it.
func Output(ctx context.Context, l Limits, start func(context.Context) *exec.Cmd) (stdout []byte, stderr string, err error) {
	limited, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	cmd := start(limited)
	errTooMuch := fmt.Errorf("more than %d MiB of output", l.Output>>20) // ends it
	out, errs := &bounded{max: l.Output, over: errTooMuch}, &Tail{}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.WaitDelay = time.Second // its child processes may outlive it and hold its output open
	err = cmd.Run()
	stderr = errs.String()
	stderr = stderr[max(0, len(stderr)-maxStderr):]
	switch {
	case len(out.data) == l.Output:
		return nil, stderr, errTooMuch
	case ctx.Err() != nil:
		return nil, stderr, ctx.Err()
	case limited.Err() != nil:
		return nil, stderr, fmt.Errorf("no response within %s: %w", l.Time, limited.Err())
	case err != nil:
		return nil, stderr, err
	}
	return out.data, stderr, nil
}

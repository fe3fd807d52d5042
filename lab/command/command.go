// Package command runs programs of the user, such as docker and kubectl, for their output.
package command

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Limits of a run.
type Limits struct {
	Time   time.Duration
	Output int // bytes
}

// Default limits: a log of a verification is read in seconds.
var Default = Limits{30 * time.Second, 128 << 20}

// maxStderr is how many bytes of stderr are read.
const maxStderr = 4096

// bounded stores the output of a command, up to a limit. It embeds no buffer: io.Copy
// would use its ReadFrom, which has no limit.
type bounded struct {
	data []byte
	max  int
	over error // returned beyond the limit; nil: the rest is dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.max-len(b.data))
	b.data = append(b.data, p[:n]...)
	if n < len(p) && b.over != nil {
		return n, b.over
	}
	return len(p), nil
}

// Output runs a command and returns what it writes. The error is that of ctx if that ended it.
func Output(ctx context.Context, l Limits, start func(context.Context) *exec.Cmd) (stdout []byte, stderr string, err error) {
	limited, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	cmd := start(limited)
	errTooMuch := fmt.Errorf("more than %d MiB of output", l.Output>>20) // ends it
	out, errs := &bounded{max: l.Output, over: errTooMuch}, &bounded{max: maxStderr}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.WaitDelay = time.Second // its child processes may outlive it and hold its output open
	err = cmd.Run()
	stderr = strings.TrimSpace(string(errs.data))
	stderr = stderr[max(0, len(stderr)-500):]
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

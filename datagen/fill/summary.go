package fill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"soundcheck/internal/album"
)

// Summary is what came of a Run.
type Summary struct {
	N       int
	Created int
	Failed  int // refused or not answered
	Unknown int // cut off when Run was stopped: they may have been created
	Elapsed time.Duration
	Errors  []Failure // the first maxErrors different ones
}

// Failure is one kind of failure, with the first trace that had it.
type Failure struct {
	Message string
	Count   int
	TraceID string // "" if the trace was not sampled
}

const maxErrors = 5

func (s *Summary) fail(err error, traceID string) {
	s.Failed++
	message := kind(err)
	for i := range s.Errors {
		if s.Errors[i].Message == message {
			s.Errors[i].Count++
			return
		}
	}
	if len(s.Errors) < maxErrors {
		s.Errors = append(s.Errors, Failure{message, 1, traceID})
	}
}

// kind is the text of an error without what differs from one call to the next:
// ports, trace ids, the client's own wording of a timeout.
func kind(err error) string {
	if errors.Is(err, album.ErrTimeout) {
		return album.ErrTimeout.Error()
	}
	if !errors.Is(err, album.ErrUnavailable) {
		return err.Error()
	}
	text := err.Error()
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		text = album.ErrUnavailable.Error() + ": " + op.Op + ": " + op.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = album.ErrUnavailable.Error() + ": it closed the connection"
	}
	text, _, _ = strings.Cut(text, ", trace ")
	return text
}

// Write writes the summary as text.
func (s *Summary) Write(w io.Writer) error {
	var b bytes.Buffer
	seconds := max(s.Elapsed, time.Microsecond).Seconds()
	fmt.Fprintf(&b, "created  %d of %d albums in %.1f s, %.0f/s\n", s.Created, s.N, seconds, float64(s.Created)/seconds)
	fmt.Fprintf(&b, "failed   %d\n", s.Failed)
	more := s.Failed
	for _, f := range s.Errors {
		more -= f.Count
		fmt.Fprintf(&b, "  %d × %s", f.Count, f.Message)
		if f.TraceID != "" {
			fmt.Fprintf(&b, ", first in trace %s", f.TraceID)
		}
		fmt.Fprintln(&b)
	}
	if more > 0 {
		fmt.Fprintf(&b, "  %d × other errors\n", more)
	}
	if s.Unknown > 0 {
		fmt.Fprintf(&b, "unknown  %d: cut off, they may have been created\n", s.Unknown)
	}
	_, err := w.Write(b.Bytes())
	return err
}

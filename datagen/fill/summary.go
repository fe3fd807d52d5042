package fill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// Summary is what came of a Run.
type Summary struct {
	N        int // items; 0 if that is not known
	Created  int
	There    int // an earlier request with the same key had created them
	Rejected int // broken ones, as they must be
	Skipped  int // lines of a file that are no albums
	Retried  int // requests that were sent again
	Failed   int // not created, or a broken one that was not rejected as it must be
	Again    int // of those: that may be created if they are sent again
	Unknown  int // cut off when Run was stopped: they may have been created
	Elapsed  time.Duration
	Errors   []Failure // the first maxErrors different ones
	// Undone means that the item of number Resume, and perhaps some after it, are not
	// known to be created.
	Undone   bool
	Resume   uint64
	Trouble  string // while it runs: why it does not go on now
	Verified *Verified
}

// Failure is one kind of failure, with the first trace that had it.
type Failure struct {
	Message string `json:"message"`
	Count   int    `json:"count"`
	TraceID string `json:"trace_id,omitempty"` // "" if the trace was not sampled
}

const maxErrors = 5

func (s *Summary) undone(number uint64) {
	if !s.Undone || number < s.Resume {
		s.Undone, s.Resume = true, number
	}
}

// fail notes that n items failed for the same reason.
func (s *Summary) fail(err error, n int, traceID string) {
	s.Failed += n
	if later(err) {
		s.Again += n
	}
	message := kind(err)
	if i := slices.IndexFunc(s.Errors, func(f Failure) bool { return f.Message == message }); i >= 0 {
		s.Errors[i].Count += n
	} else if len(s.Errors) < maxErrors {
		s.Errors = append(s.Errors, Failure{message, n, traceID})
	}
}

// kind is the text of an error without what differs from one call to the next:
// ports, trace ids, the client's own wording of a timeout.
func kind(err error) string {
	switch {
	case errors.Is(err, album.ErrTimeout):
		return album.ErrTimeout.Error()
	case errors.Is(err, album.ErrKeyReused):
		return err.Error() + ": an earlier run has sent this album otherwise, with another -n, -batch, -async or -invalid"
	case errors.Is(err, albumhttp.ErrTooLarge):
		return err.Error() + ": use a smaller -batch"
	case !errors.Is(err, album.ErrUnavailable):
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

// Done is how many items are done with.
func (s *Summary) Done() int { return s.Created + s.There + s.Rejected + s.Failed + s.Unknown }

func (s *Summary) perSecond() float64 {
	return float64(s.Created) / max(s.Elapsed, time.Microsecond).Seconds()
}

// Write writes the summary as text.
func (s *Summary) Write(w io.Writer) error {
	var b bytes.Buffer
	of := ""
	if s.N > 0 {
		of = fmt.Sprintf(" of %d", s.N)
	}
	fmt.Fprintf(&b, "created        %d%s albums in %.1f s, %.0f/s\n", s.Created, of, s.Elapsed.Seconds(), s.perSecond())
	for _, line := range []struct {
		name  string
		n     int
		about string
	}{
		{"already there", s.There, "an earlier request created them, of this run or another"},
		{"rejected", s.Rejected, "broken albums, as they must be"},
		{"skipped", s.Skipped, "they are no albums"},
		{"retried", s.Retried, "requests were sent again"},
		{"unknown", s.Unknown, "cut off, they may have been created"},
	} {
		if line.n > 0 {
			fmt.Fprintf(&b, "%-14s %d: %s\n", line.name, line.n, line.about)
		}
	}
	fmt.Fprintf(&b, "failed         %d\n", s.Failed)
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
	if s.Verified != nil {
		fmt.Fprintf(&b, "verified       %s\n", s.Verified)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// WriteJSON writes the summary as a JSON object.
func (s *Summary) WriteJSON(w io.Writer) error {
	var resume *uint64
	if s.Undone {
		resume = &s.Resume
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Albums          int       `json:"albums,omitempty"`
		Created         int       `json:"created"`
		AlreadyThere    int       `json:"already_there"`
		Rejected        int       `json:"rejected"`
		Skipped         int       `json:"skipped"`
		Retried         int       `json:"retried"`
		Unknown         int       `json:"unknown"`
		Failed          int       `json:"failed"`
		Errors          []Failure `json:"errors,omitempty"`
		Seconds         float64   `json:"seconds"`
		AlbumsPerSecond float64   `json:"albums_per_second"`
		ResumeFrom      *uint64   `json:"resume_from,omitempty"`
		Verified        *Verified `json:"verified,omitempty"`
	}{s.N, s.Created, s.There, s.Rejected, s.Skipped, s.Retried, s.Unknown, s.Failed, s.Errors, s.Elapsed.Seconds(), s.perSecond(), resume, s.Verified})
}

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
	"soundcheck/internal/albumapi"
)

// Summary is the result of a Run.
type Summary struct {
	N         int // items; 0 if that is not known
	Created   int
	There     int // created by an earlier request with the same key
	Rejected  int // invalid ones, as expected
	Skipped   int // invalid lines of a file
	Retried   int // requests
	Failed    int // not created, or an invalid one that was not rejected as expected
	Retryable int // of the failed ones: may succeed in another run
	Unknown   int // cancelled in flight: may have been created
	Elapsed   time.Duration
	Errors    []Failure // the first maxErrors different ones
	// Undone means that the item of number Resume, and maybe later ones, are not
	// known to be created.
	Undone   bool
	Resume   uint64
	Trouble  string // while it runs: why it makes no progress
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

// fail records that n items failed for the same reason.
func (s *Summary) fail(err error, n int, traceID string) {
	s.Failed += n
	if retryable(err) {
		s.Retryable += n
	}
	message := kind(err)
	if i := slices.IndexFunc(s.Errors, func(f Failure) bool { return f.Message == message }); i >= 0 {
		s.Errors[i].Count += n
	} else if len(s.Errors) < maxErrors {
		s.Errors = append(s.Errors, Failure{message, n, traceID})
	}
}

// kind is the text of an error without the parts that differ between calls:
// ports, trace ids, the client's own wording of a timeout.
func kind(err error) string {
	switch {
	case errors.Is(err, album.ErrTimeout):
		return album.ErrTimeout.Error()
	case errors.Is(err, album.ErrKeyReused):
		return err.Error() + ": an earlier run sent this album in another request, with another -n, -batch, -async or -invalid; use the same flags, or another -seed or -from"
	case errors.Is(err, albumapi.ErrTooLarge):
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
		text = album.ErrUnavailable.Error() + ": connection closed"
	}
	text, _, _ = strings.Cut(text, ", trace ")
	return text
}

// Done is the number of finished items.
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
		{"already there", s.There, "created by an earlier request, of this run or another"},
		{"rejected", s.Rejected, "invalid albums, as expected"},
		{"skipped", s.Skipped, "invalid lines"},
		{"retried", s.Retried, "requests, after a retryable error"},
		{"unknown", s.Unknown, "cancelled in flight, may have been created"},
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

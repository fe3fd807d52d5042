package albumhttp

import (
	"context"
	"errors"
	"net/http"

	"soundcheck/internal/album"
)

const problemType = "application/problem+json"

// Problem is an RFC 9457 problem, the body of every error answer.
type Problem struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail,omitempty"`
	Errors  []album.FieldError `json:"errors,omitempty"`
	TraceID string             `json:"trace_id,omitempty"`
}

var (
	errNoRoute       = errors.New("no such resource")
	errNoMethod      = errors.New("this resource does not have that method")
	errTooLarge      = errors.New("request body too large")
	errMediaType     = errors.New("unsupported media type of the request body")
	errNotAcceptable = errors.New("no representation that the Accept header allows")
	errInternal      = errors.New("internal error")
)

// statusClientGone is nginx's: the client closed the connection before the answer.
const statusClientGone = 499

// problems is the one table between errors, statuses and problem types; it is
// read in both directions. An invalid album is the row that is not a sentinel.
var problems = []struct {
	err    error
	status int
	name   string // the last part of the problem type; empty: the error's own code
}{
	{album.ErrNotFound, http.StatusNotFound, ""},
	{album.ErrExists, http.StatusConflict, ""},
	{album.ErrNoOperation, http.StatusNotFound, ""},
	{album.ErrKeyReused, http.StatusUnprocessableEntity, ""},
	{album.ErrKeyRunning, http.StatusConflict, ""},
	{album.ErrFull, http.StatusInsufficientStorage, ""},
	{album.ErrNotReady, http.StatusServiceUnavailable, ""},
	{album.ErrUnavailable, http.StatusBadGateway, ""},
	{album.ErrTimeout, http.StatusGatewayTimeout, ""},
	{errNoRoute, http.StatusNotFound, "no-such-resource"},
	{errNoMethod, http.StatusMethodNotAllowed, "method-not-allowed"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "body-too-large"},
	{errMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type"},
	{errNotAcceptable, http.StatusNotAcceptable, "not-acceptable"},
	{context.Canceled, statusClientGone, "client-gone"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "deadline-exceeded"},
	{errInternal, http.StatusInternalServerError, "internal"},
}

func init() {
	for i := range problems {
		if e, ok := problems[i].err.(*album.Error); ok {
			problems[i].name = e.Code()
		}
	}
}

const (
	typePrefix  = "urn:soundcheck:problem:"
	invalidName = "invalid-request"
)

// retryAfter is what a 503 tells the caller to wait, in seconds.
const retryAfter = "1"

// problemFor returns the problem that err is answered with. What went wrong
// inside is for the log and the trace, so a 5xx carries no detail of err.
func problemFor(err error) Problem {
	var invalid *album.InvalidError
	if errors.As(err, &invalid) {
		detail := invalid.Detail
		if detail == "" {
			detail = "see errors for what to change"
		}
		return Problem{Type: typePrefix + invalidName, Title: "invalid request",
			Status: http.StatusBadRequest, Detail: detail, Errors: invalid.Fields}
	}
	for _, row := range problems {
		if errors.Is(err, row.err) {
			p := Problem{Type: typePrefix + row.name, Title: row.err.Error(), Status: row.status}
			var exists *album.ExistsError
			if errors.As(err, &exists) {
				p.Errors = exists.Fields
			}
			return p
		}
	}
	return problemFor(errInternal)
}

// errorFor is the way back: the error that a store's problem stands for. A
// problem that is not of the store's making, or is its own failure, is nothing a
// caller can act on: ErrUnavailable.
func errorFor(p Problem) error {
	if p.Type == typePrefix+invalidName {
		e := &album.InvalidError{Detail: p.Detail, Fields: p.Errors}
		if len(e.Fields) > 0 {
			e.Detail = ""
		}
		return e
	}
	for _, row := range problems {
		switch {
		case p.Type != typePrefix+row.name:
		case row.err == album.ErrExists && len(p.Errors) > 0:
			return &album.ExistsError{Fields: p.Errors}
		case p.Status < 500, row.err == album.ErrFull, row.err == album.ErrNotReady:
			return row.err
		}
	}
	return album.ErrUnavailable
}

func readError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errTooLarge
	}
	return album.Invalid("the request body could not be read to its end")
}

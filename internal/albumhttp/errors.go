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
	errNoRoute  = errors.New("no such resource")
	errNoMethod = errors.New("this resource does not have that method")
	errTooLarge = errors.New("request body too large")
	errInternal = errors.New("internal error")
)

// statusClientGone is nginx's: the client closed the connection before the answer.
const statusClientGone = 499

// problems is the one table between errors, statuses and problem types; it is
// read in both directions. An invalid album is the row that is not a sentinel.
var problems = []struct {
	err    error
	status int
	name   string // the last part of the problem type
}{
	{album.ErrNotFound, http.StatusNotFound, "album-not-found"},
	{album.ErrExists, http.StatusConflict, "album-exists"},
	{album.ErrUnavailable, http.StatusBadGateway, "store-unavailable"},
	{album.ErrTimeout, http.StatusGatewayTimeout, "store-timeout"},
	{errNoRoute, http.StatusNotFound, "no-such-resource"},
	{errNoMethod, http.StatusMethodNotAllowed, "method-not-allowed"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "body-too-large"},
	{context.Canceled, statusClientGone, "client-gone"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "deadline-exceeded"},
	{errInternal, http.StatusInternalServerError, "internal"},
}

const (
	typePrefix  = "urn:soundcheck:problem:"
	invalidName = "invalid-request"
)

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
	for _, p := range problems {
		if errors.Is(err, p.err) {
			return Problem{Type: typePrefix + p.name, Title: p.err.Error(), Status: p.status}
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
		if p.Status < 500 && p.Type == typePrefix+row.name {
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

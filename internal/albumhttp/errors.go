package albumhttp

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/httpheader"
	"soundcheck/internal/overload"
	"soundcheck/internal/upstream"
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
	// ErrTooLarge means that a request body has more bytes than are read.
	ErrTooLarge      = errors.New("request body too large")
	errLongURL       = errors.New("request target too long")
	errLargeHeader   = errors.New("request header fields too large")
	errMediaType     = errors.New("unsupported media type of the request body")
	errNotAcceptable = errors.New("no representation that the Accept header allows")
	errInternal      = errors.New("internal error")
	errBody          = album.Invalid("the request body could not be read to its end")
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
	{ErrTooLarge, http.StatusRequestEntityTooLarge, "body-too-large"},
	{errLongURL, http.StatusRequestURITooLong, "target-too-long"},
	{errLargeHeader, http.StatusRequestHeaderFieldsTooLarge, "header-too-large"},
	{errMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type"},
	{errNotAcceptable, http.StatusNotAcceptable, "not-acceptable"},
	{context.Canceled, statusClientGone, "client-gone"},
	{overload.ErrRateLimited, http.StatusTooManyRequests, "rate-limited"},
	{overload.ErrOverloaded, http.StatusServiceUnavailable, "overloaded"},
	{upstream.ErrOpen, http.StatusServiceUnavailable, "store-left-alone"},
	{upstream.ErrBudget, http.StatusServiceUnavailable, "retries-spent"},
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

// laterError is an error with the time after which to try again, as the store said.
type laterError struct {
	error
	after time.Duration
}

// Unwrap returns the error without the time.
func (e *laterError) Unwrap() error { return e.error }

// RetryAfter tells when to try again.
func (e *laterError) RetryAfter() time.Duration { return e.after }

// retryAfter returns the Retry-After header of an answer, or "": what the error
// says, or a second where the caller should come again.
func retryAfter(err error, status int) string {
	var later interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &later):
		return strconv.Itoa(int(httpheader.WholeSeconds(later.RetryAfter()).Seconds())) // never too early
	case status == http.StatusServiceUnavailable, errors.Is(err, album.ErrKeyRunning):
		return "1"
	default:
		return ""
	}
}

// problemFor returns the problem that err is answered with. What went wrong
// inside is for the log and the trace, so a 5xx carries no detail of err.
func problemFor(err error) Problem {
	var invalid *album.InvalidError
	var header *overload.HeaderError
	if errors.As(err, &header) {
		invalid = new(album.InvalidError)
		invalid.Add(header.Name, header.Message)
	}
	if invalid != nil || errors.As(err, &invalid) {
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
	var fault faultError
	if errors.As(err, &fault) {
		return Problem{Type: typePrefix + "fault", Title: fault.Error(), Status: int(fault)}
	}
	return problemFor(errInternal)
}

// errorFor is the way back: the error that a store's problem stands for. A
// response of something else counts by its status; the store's own failure is
// ErrUnavailable, because the caller can do nothing about it.
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
		case row.status != p.Status:
		case p.Status < 500, p.Status == http.StatusServiceUnavailable, p.Status == http.StatusInsufficientStorage:
			return row.err
		}
	}
	if err, ok := gatewayErrors[p.Status]; ok {
		return err
	}
	return album.ErrUnavailable
}

// gatewayErrors maps the statuses of a load balancer, gateway or web server between the
// client and the store, whose body is no problem of ours. Its other statuses (401, 403, …)
// show a wrong configuration, which the caller cannot change: 502. A 408 is about the
// connection to the gateway, not about the caller's: 504.
var gatewayErrors = map[int]error{
	http.StatusRequestTimeout:              album.ErrTimeout,
	http.StatusRequestEntityTooLarge:       ErrTooLarge,
	http.StatusRequestURITooLong:           errLongURL,
	http.StatusTooManyRequests:             overload.ErrRateLimited,
	http.StatusRequestHeaderFieldsTooLarge: errLargeHeader,
	http.StatusServiceUnavailable:          album.ErrNotReady,
	http.StatusGatewayTimeout:              album.ErrTimeout,
}

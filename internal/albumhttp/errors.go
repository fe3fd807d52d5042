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

// Problem is an RFC 9457 problem, the body of every error response.
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
	errNoMethod = errors.New("method not allowed")
	// ErrTooLarge means that a request body exceeds the size limit.
	ErrTooLarge      = errors.New("request body too large")
	errLongURL       = errors.New("request target too long")
	errLargeHeader   = errors.New("request header fields too large")
	errMediaType     = errors.New("unsupported media type")
	errNotAcceptable = errors.New("no representation matches the Accept header")
	errInternal      = errors.New("internal error")
	errBody          = album.Invalid("the request body is incomplete")
)

// statusClientGone is nginx's: the client closed the connection before the response.
const statusClientGone = 499

// problems maps errors to statuses and problem types, and back. An *album.InvalidError is
// not in it, because it is not a sentinel.
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
	{upstream.ErrCircuitOpen, http.StatusServiceUnavailable, "circuit-open"},
	{upstream.ErrRetryBudget, http.StatusServiceUnavailable, "retry-budget-exhausted"},
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

// retryAfterError is an error with the store's Retry-After.
type retryAfterError struct {
	error
	after time.Duration
}

// Unwrap returns the error without the Retry-After.
func (e *retryAfterError) Unwrap() error { return e.error }

// RetryAfter is the time until a retry.
func (e *retryAfterError) RetryAfter() time.Duration { return e.after }

// retryAfter returns the Retry-After header of a response, or "": the error's own, or one
// second where a retry can succeed.
func retryAfter(err error, status int) string {
	var timed interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &timed):
		return strconv.Itoa(int(httpheader.WholeSeconds(timed.RetryAfter()).Seconds())) // never too early
	case status == http.StatusServiceUnavailable, errors.Is(err, album.ErrKeyRunning):
		return "1"
	default:
		return ""
	}
}

// problemFor returns the problem of err. A 5xx has no detail: the cause is for the log and
// the trace.
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
			detail = "see errors"
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

// errorFor is the inverse of problemFor, for a store's problem. Any other response is mapped
// by its status. A failure of the store is ErrUnavailable: the caller cannot fix it.
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
// client and the store, whose body is not one of our problems. Its other statuses (401, 403,
// …) come from a wrong configuration, which the caller cannot fix: 502. A 408 is about the
// connection between client and gateway: 504.
var gatewayErrors = map[int]error{
	http.StatusRequestTimeout:              album.ErrTimeout,
	http.StatusRequestEntityTooLarge:       ErrTooLarge,
	http.StatusRequestURITooLong:           errLongURL,
	http.StatusTooManyRequests:             overload.ErrRateLimited,
	http.StatusRequestHeaderFieldsTooLarge: errLargeHeader,
	http.StatusServiceUnavailable:          album.ErrNotReady,
	http.StatusGatewayTimeout:              album.ErrTimeout,
}

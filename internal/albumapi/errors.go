package albumapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/upstream"
)

// Problem is an RFC 9457 problem, the body of every error response.
type Problem struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail,omitempty"`
	Errors  []album.FieldError `json:"errors,omitempty"`
	TraceID string             `json:"trace_id,omitempty"`
}

// Errors of the API itself, beside those of the domain.
var (
	// ErrNoRoute means that the path is none of the API's.
	ErrNoRoute = errors.New("no such resource")
	// ErrNoMethod means that the path does not support the method.
	ErrNoMethod = errors.New("method not allowed")
	// ErrTooLarge means that a request body exceeds the size limit.
	ErrTooLarge = errors.New("request body too large")
	// ErrMediaType means that the body's Content-Type is not supported.
	ErrMediaType = errors.New("unsupported media type")
	// ErrNotAcceptable means that the response has none of the accepted media types.
	ErrNotAcceptable = errors.New("no representation matches the Accept header")
	// ErrRateLimited means that a rate limit is exceeded.
	ErrRateLimited = errors.New("too many requests")
	// ErrOverloaded means that the service sheds load.
	ErrOverloaded = errors.New("overloaded")

	errLongURL     = errors.New("request target too long")
	errLargeHeader = errors.New("request header fields too large")
	errInternal    = errors.New("internal error")
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
	{ErrNoRoute, http.StatusNotFound, "no-such-resource"},
	{ErrNoMethod, http.StatusMethodNotAllowed, "method-not-allowed"},
	{ErrTooLarge, http.StatusRequestEntityTooLarge, "body-too-large"},
	{errLongURL, http.StatusRequestURITooLong, "target-too-long"},
	{errLargeHeader, http.StatusRequestHeaderFieldsTooLarge, "header-too-large"},
	{ErrMediaType, http.StatusUnsupportedMediaType, "unsupported-media-type"},
	{ErrNotAcceptable, http.StatusNotAcceptable, "not-acceptable"},
	{context.Canceled, statusClientGone, "client-gone"},
	{ErrRateLimited, http.StatusTooManyRequests, "rate-limited"},
	{ErrOverloaded, http.StatusServiceUnavailable, "overloaded"},
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

// TypePrefix begins the type of every problem.
const TypePrefix = "urn:soundcheck:problem:"

const invalidName = "invalid-request"

// retryAfterError is an error with the store's Retry-After.
type retryAfterError struct {
	error
	after time.Duration
}

// Unwrap returns the error without the Retry-After.
func (e *retryAfterError) Unwrap() error { return e.error }

// RetryAfter is the time until a retry.
func (e *retryAfterError) RetryAfter() time.Duration { return e.after }

// StatusError returns the first error of the table with this status, or nil.
func StatusError(status int) error {
	for _, row := range problems {
		if row.status == status {
			return row.err
		}
	}
	return nil
}

// ProblemFor returns the problem of err. A 5xx has no detail: the cause is for the log and
// the trace.
func ProblemFor(err error) Problem {
	var invalid *album.InvalidError
	if errors.As(err, &invalid) {
		detail := invalid.Detail
		if detail == "" {
			detail = "see errors"
		}
		return Problem{Type: TypePrefix + invalidName, Title: "invalid request",
			Status: http.StatusBadRequest, Detail: detail, Errors: invalid.Fields}
	}
	for _, row := range problems {
		if errors.Is(err, row.err) {
			p := Problem{Type: TypePrefix + row.name, Title: row.err.Error(), Status: row.status}
			var exists *album.ExistsError
			if errors.As(err, &exists) {
				p.Errors = exists.Fields
			}
			return p
		}
	}
	return ProblemFor(errInternal)
}

// errorFor is the inverse of ProblemFor, for a store's problem. Any other response is mapped
// by its status. A failure of the store is ErrUnavailable: the caller cannot fix it.
func errorFor(p Problem) error {
	if p.Type == TypePrefix+invalidName {
		e := &album.InvalidError{Detail: p.Detail, Fields: p.Errors}
		if len(e.Fields) > 0 {
			e.Detail = ""
		}
		return e
	}
	for _, row := range problems {
		switch {
		case p.Type != TypePrefix+row.name:
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
	http.StatusTooManyRequests:             ErrRateLimited,
	http.StatusRequestHeaderFieldsTooLarge: errLargeHeader,
	http.StatusServiceUnavailable:          album.ErrNotReady,
	http.StatusGatewayTimeout:              album.ErrTimeout,
}

package album

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that a Service answers with, whichever backend it has. Compare with
// errors.Is; an invalid album is an *InvalidError.
var (
	ErrNotFound = newError("album-not-found", "album not found")
	ErrExists   = newError("album-exists", "an album with this id exists")
	// ErrFull means that the store keeps as many albums as it may.
	ErrFull = newError("store-full", "album store is full")
	// ErrNoOperation means that there is no operation with this id, or not any more.
	ErrNoOperation = newError("operation-not-found", "operation not found")
	// ErrKeyReused means that the idempotency key was first used with other input.
	ErrKeyReused = newError("idempotency-key-reused", "this Idempotency-Key was used with another request")
	// ErrKeyRunning means that the first request with the key has not ended yet.
	ErrKeyRunning = newError("idempotency-key-running", "a request with this Idempotency-Key is still running")
	// ErrNotReady means that the store's database does not answer now, or that it
	// has too much to do. To try again later is right.
	ErrNotReady = newError("store-not-ready", "album store is not ready")
	// ErrUnavailable means that the service behind could not be reached or gave
	// an answer that makes no sense.
	ErrUnavailable = newError("store-unavailable", "album store unavailable")
	// ErrTimeout means that the service behind did not answer in time.
	ErrTimeout = newError("store-timeout", "album store did not answer in time")
)

// Error is a sentinel with a code that says the same in a database, on the wire
// and in a metric.
type Error struct{ code, text string }

var byCode = map[string]*Error{}

func newError(code, text string) *Error {
	e := &Error{code, text}
	byCode[code] = e
	return e
}

func (e *Error) Error() string { return e.text }

// Code returns the error's name, as in "album-not-found".
func (e *Error) Code() string { return e.code }

// ErrorWithCode is the way back from Code. It is nil for an unknown code.
func ErrorWithCode(code string) error {
	if e, ok := byCode[code]; ok {
		return e
	}
	return nil
}

// Outcome reports whether err is what a caller has to expect, such as an id that
// is taken, rather than a failure of the service.
func Outcome(err error) bool {
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return true
	}
	for _, e := range []error{ErrNotFound, ErrExists, ErrFull, ErrNoOperation, ErrKeyReused, ErrKeyRunning} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Later reports whether the same call can end well if it is made again: whoever was
// asked says so with a time (RetryAfter), or is not there or too busy now.
func Later(err error) bool {
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return true
	}
	for _, e := range []error{ErrKeyRunning, ErrNotReady, ErrUnavailable, ErrTimeout} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// What is wrong with a field.
const (
	Required     = "required field"
	BelowMinimum = "below minimum value"
	AboveMaximum = "above maximum value"
)

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// InvalidError says why input was refused: as a whole (Detail), by field, or both.
type InvalidError struct {
	Detail string
	Fields []FieldError
}

// Invalid returns an *InvalidError about the input as a whole.
func Invalid(detail string) error { return &InvalidError{Detail: detail} }

// Add notes what is wrong with one field.
func (e *InvalidError) Add(field, message string) {
	e.Fields = append(e.Fields, FieldError{field, message})
}

// Has reports whether something was noted about field.
func (e *InvalidError) Has(field string) bool {
	for _, f := range e.Fields {
		if f.Field == field {
			return true
		}
	}
	return false
}

// Err returns e, or nil if nothing was noted.
func (e *InvalidError) Err() error {
	if e.Detail == "" && len(e.Fields) == 0 {
		return nil
	}
	return e
}

func (e *InvalidError) Error() string {
	parts := make([]string, 0, len(e.Fields)+1)
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	for _, f := range e.Fields {
		parts = append(parts, f.Field+": "+f.Message)
	}
	return "invalid: " + strings.Join(parts, "; ")
}

// InBatch names the field of the album at index i of a batch.
func InBatch(i int, field string) string {
	if field == "" {
		return fmt.Sprintf("[%d]", i)
	}
	return fmt.Sprintf("[%d].%s", i, field)
}

// ExistsError is an ErrExists that names the albums whose ids are taken.
type ExistsError struct {
	Fields []FieldError
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s: %d of them", ErrExists.Error(), len(e.Fields))
}

// Unwrap returns ErrExists.
func (e *ExistsError) Unwrap() error { return ErrExists }

// Exists returns the error of a Write whose albums with these ids exist.
func (w Write) Exists(taken func(id int64) bool) error {
	if !w.Batch {
		return ErrExists
	}
	e := new(ExistsError)
	for i, a := range w.Albums {
		if a.ID != 0 && taken(a.ID) {
			e.Fields = append(e.Fields, FieldError{InBatch(i, "id"), "taken"})
		}
	}
	return e
}

// Failure is an error as it is kept: in a database, or in a document.
type Failure struct {
	Code   string       `json:"code"`
	Errors []FieldError `json:"errors,omitempty"`
}

// NewFailure returns what is kept of err. What is nobody's business but the
// log's becomes the code "internal".
func NewFailure(err error) Failure {
	f := Failure{Code: "internal"}
	var e *Error
	if errors.As(err, &e) {
		f.Code = e.code
	}
	var exists *ExistsError
	if errors.As(err, &exists) {
		f.Errors = exists.Fields
	}
	return f
}

// Err is the way back from NewFailure.
func (f Failure) Err() error {
	err := ErrorWithCode(f.Code)
	switch {
	case err == nil:
		return errors.New("internal error")
	case f.Code == ErrExists.code && len(f.Errors) > 0:
		return &ExistsError{f.Errors}
	}
	return err
}

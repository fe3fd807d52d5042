package album

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Errors of a Service, whatever its backend. Compare with errors.Is. An invalid album is an
// *InvalidError.
var (
	ErrNotFound = newError("album-not-found", "album not found")
	ErrExists   = newError("album-exists", "an album with this id exists")
	// ErrFull means that the store holds the maximum number of albums.
	ErrFull = newError("store-full", "album store is full")
	// ErrNoOperation means that no operation has this id, or that it has expired.
	ErrNoOperation = newError("operation-not-found", "operation not found")
	// ErrKeyReused means that the idempotency key was first used with other input.
	ErrKeyReused = newError("idempotency-key-reused", "this Idempotency-Key was used with another request")
	// ErrKeyRunning means that the first request with the key is in progress.
	ErrKeyRunning = newError("idempotency-key-in-use", "a request with this Idempotency-Key is in progress")
	// ErrNotReady means that the store's database is unavailable or overloaded. The call
	// can be retried later.
	ErrNotReady = newError("store-not-ready", "album store is not ready")
	// ErrUnavailable means that the connection to the store failed, or that its response
	// was invalid.
	ErrUnavailable = newError("store-unavailable", "album store unavailable")
	// ErrTimeout means that the store did not respond in time.
	ErrTimeout = newError("store-timeout", "album store timed out")
)

// Error is a sentinel with a code, which identifies it in a database, on the wire and in a
// metric.
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

// ErrorWithCode is the inverse of Code. It returns nil for an unknown code.
func ErrorWithCode(code string) error {
	if e, ok := byCode[code]; ok {
		return e
	}
	return nil
}

// Outcome reports whether err is an expected result, such as an id that is taken, and not a
// failure of the service.
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

// Later reports whether a retry can succeed: the error has a time (RetryAfter), or the
// service is unavailable or overloaded.
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

// Messages of a FieldError.
const (
	Required     = "required field"
	BelowMinimum = "below minimum value"
	AboveMaximum = "above maximum value"
)

// FieldError is an error of one field.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// InvalidError is why input was rejected: as a whole (Detail), by field, or both.
type InvalidError struct {
	Detail string
	Fields []FieldError
}

// Invalid returns an *InvalidError about the input as a whole.
func Invalid(detail string) error { return &InvalidError{Detail: detail} }

// Add adds an error of one field.
func (e *InvalidError) Add(field, message string) {
	e.Fields = append(e.Fields, FieldError{field, message})
}

// Has reports whether field has an error.
func (e *InvalidError) Has(field string) bool {
	for _, f := range e.Fields {
		if f.Field == field {
			return true
		}
	}
	return false
}

// Sort orders the errors by field: those found in a map come in any order.
func (e *InvalidError) Sort() {
	slices.SortFunc(e.Fields, func(x, y FieldError) int { return strings.Compare(x.Field, y.Field) })
}

// Err returns e, or nil if it has no errors.
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
	return fmt.Sprintf("%s: %d ids", ErrExists.Error(), len(e.Fields))
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

// Failure is an error as it is stored in a database or a document.
type Failure struct {
	Code   string       `json:"code"`
	Errors []FieldError `json:"errors,omitempty"`
}

// NewFailure returns what is stored of err. Internal errors, whose text is only for the log,
// get the code "internal".
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

// Err is the inverse of NewFailure.
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

package album

import (
	"errors"
	"strings"
)

// Errors that a Service answers with, whichever backend it has. Compare with
// errors.Is; an invalid album is an *InvalidError.
var (
	ErrNotFound = errors.New("album not found")
	ErrExists   = errors.New("an album with this id exists")
	// ErrUnavailable means that the service behind could not be reached or gave
	// an answer that makes no sense.
	ErrUnavailable = errors.New("album store unavailable")
	// ErrTimeout means that the service behind did not answer in time.
	ErrTimeout = errors.New("album store did not answer in time")
)

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

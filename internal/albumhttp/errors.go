package albumhttp

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/httpheader"
	"soundcheck/internal/overload"
)

var errBody = album.Invalid("the request body is incomplete")

// faultError is a status without a problem of its own, of an injected fault.
type faultError int

func (e faultError) Error() string { return "injected fault" }

// problemFor is albumapi.ProblemFor, with the errors of overload control and of injected faults.
func problemFor(err error) albumapi.Problem {
	var header *overload.HeaderError
	var fault faultError
	switch {
	case errors.As(err, &header):
		invalid := new(album.InvalidError)
		invalid.Add(header.Name, header.Message)
		err = invalid
	case errors.Is(err, overload.ErrRateLimited):
		err = albumapi.ErrRateLimited
	case errors.Is(err, overload.ErrOverloaded):
		err = albumapi.ErrOverloaded
	case errors.As(err, &fault):
		return albumapi.Problem{Type: albumapi.TypePrefix + "fault", Title: fault.Error(), Status: int(fault)}
	}
	return albumapi.ProblemFor(err)
}

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

package connect

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// JustUsed is how long after a response its connection is assumed to be open, for a request that may be sent twice.
const JustUsed = time.Millisecond

// Safe reports whether a method is safe (RFC 9110, 9.2.1), so that a request may be sent twice.
func Safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// IsTimeout reports whether an error is a timeout.
func IsTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

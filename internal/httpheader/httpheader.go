// Package httpheader has the HTTP headers that clients and servers share.
package httpheader

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The lab's own headers.
const (
	// Timeout is a request header: the client's timeout in milliseconds, from the arrival of
	// the request.
	Timeout = "X-Request-Timeout"
	// Draining is a response header, "true" while the server shuts down. Connection: close is
	// about one connection only, as after a request whose body was not read.
	Draining = "X-Draining"
)

// maxWait caps the value of a header, below the limit of a Duration.
const maxWait = 100 * 365 * 24 * time.Hour

// RetryAfter returns the Retry-After of a response (RFC 9110, 10.2.3), and whether it has one. Its value is a number of seconds or an HTTP date (5.6.7). A date
// is relative to the response's Date, if that is set, so that clock skew has no effect. A date in the past is a wait of 0.
func RetryAfter(h http.Header) (wait time.Duration, ok bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if strings.Trim(v, "0123456789") == "" {
		seconds, err := strconv.ParseInt(v, 10, 64)
		if err != nil || seconds > int64(maxWait/time.Second) { // overflow
			return maxWait, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	sent, err := http.ParseTime(strings.TrimSpace(h.Get("Date")))
	if err != nil {
		sent = time.Now()
	}
	return min(max(at.Sub(sent), 0), maxWait), true
}

// WholeSeconds rounds up, because Retry-After and RateLimit have no fractions.
func WholeSeconds(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(d.Seconds())) * time.Second
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;[^,]*rel="?next"?`)

// NextPage returns the URL of the next page, as in a response's Link header (RFC 8288), or ""
// if there is none.
func NextPage(h http.Header) string {
	for _, link := range h.Values("Link") {
		if m := nextLink.FindStringSubmatch(link); m != nil {
			return m[1]
		}
	}
	return ""
}

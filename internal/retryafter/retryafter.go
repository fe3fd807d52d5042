// Package retryafter parses the Retry-After header.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait caps what a header asks for, below the limit of a Duration.
const maxWait = 100 * 365 * 24 * time.Hour

// Parse returns the wait that the Retry-After of a response asks for (RFC 9110, 10.2.3), and
// whether there is one. Its value is a number of seconds or an HTTP date (5.6.7). A date
// counts from the response's Date, if that is set, so that the client's clock need not agree
// with the server's. A date in the past is a wait of 0.
func Parse(h http.Header) (wait time.Duration, ok bool) {
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

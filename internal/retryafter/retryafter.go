// Package retryafter reads the header that says how long a client is to wait.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// most bounds what is read: more seconds than a Duration can have are as good as this.
const most = 100 * 365 * 24 * time.Hour

// Parse returns how long the Retry-After of a response asks to wait (RFC 9110, 10.2.3), and
// whether it asks at all. It is a number of seconds, or a time in one of the three forms of
// HTTP (5.6.7). Such a time is counted from the response's Date, if there is one, so that
// no clock has to agree with the server's; what is past is no wait.
func Parse(h http.Header) (wait time.Duration, ok bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if strings.Trim(v, "0123456789") == "" {
		seconds, err := strconv.ParseInt(v, 10, 64)
		if err != nil || seconds > int64(most/time.Second) { // it has too many digits
			return most, true
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
	return min(max(at.Sub(sent), 0), most), true
}

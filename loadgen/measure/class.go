// Package measure counts requests: classes, latency histograms, intervals, and a sample for
// tail-latency attribution.
//
// A time is a time.Duration; a float64 is in seconds.
package measure

import "net/http"

// Class is the outcome of a request.
type Class string

// The classes. Good and late requests are served: their status is the one that the scenario
// expects.
const (
	Good   Class = "good"
	Late   Class = "late"   // served, but slower than the SLO allows
	Shed   Class = "shed"   // 429 or 503 of an overloaded service
	Failed Class = "failed" // any other status, or no response
)

// Classes are all classes, in the order of reports.
var Classes = []Class{Good, Late, Shed, Failed}

// IsShed reports whether an HTTP status means that an overloaded service shed the request.
func IsShed(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

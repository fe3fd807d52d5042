// Package measure counts what became of requests and how long they took: histograms,
// classes, intervals of time, a sample to be explained.
//
// It knows neither how requests are sent nor what is reported of them. Times are
// time.Duration in memory, and seconds where they are a float64.
package measure

import "net/http"

// Class is what became of a request.
type Class string

// The classes. Good and late requests were served: answered with the status that
// their scenario expects.
const (
	Good   Class = "good"
	Late   Class = "late"   // served, but not within the time of the objectives
	Shed   Class = "shed"   // refused by a service that has too much to do: 429 or 503
	Failed Class = "failed" // any other status, or no answer
)

// Classes are all of them, in the order in which reports show them.
var Classes = []Class{Good, Late, Shed, Failed}

// IsShed reports whether an HTTP status says that the service has too much to do.
func IsShed(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

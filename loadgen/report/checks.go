package report

import (
	"cmp"
	"fmt"
	"slices"
)

// FailedCheck are the responses that failed a check: of a flow's step, or of the contract.
type FailedCheck struct {
	Scenario string `json:"scenario"`
	Check    string `json:"check"`
	Requests int    `json:"requests"`
	Detail   string `json:"detail"`             // of the first one
	TraceID  string `json:"trace_id,omitempty"` // of the first sampled one; "": none
}

// maxChecks limits a report's failed checks. More are counted as otherChecks.
const (
	maxChecks   = 100
	otherChecks = "other checks"
)

// checkFailed is the error category of their responses.
const checkFailed = "check failed"

// addCheck adds requests that failed a check.
func (r *Report) addCheck(c FailedCheck) {
	at := slices.IndexFunc(r.FailedChecks, func(o FailedCheck) bool { return o.Scenario == c.Scenario && o.Check == c.Check })
	if at < 0 && len(r.FailedChecks) >= maxChecks-1 {
		c.Scenario, c.Check = "", otherChecks
		at = slices.IndexFunc(r.FailedChecks, func(o FailedCheck) bool { return o.Check == otherChecks })
	}
	if at < 0 {
		r.FailedChecks = append(r.FailedChecks, c)
		return
	}
	old := &r.FailedChecks[at]
	old.Requests += c.Requests
	old.TraceID = cmp.Or(old.TraceID, c.TraceID)
}

// sortChecks puts the most frequent ones first.
func (r *Report) sortChecks() {
	slices.SortStableFunc(r.FailedChecks, func(a, b FailedCheck) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Check, b.Check))
	})
}

// shownFailures is how many failed checks a report shows; its JSON has all.
const shownFailures = 10

// shownChecks returns the most frequent ones, and says how many there are more.
func (r *Report) shownChecks() (list []FailedCheck, more string) {
	list = r.FailedChecks
	if n := len(list) - shownFailures; n > 0 {
		list, more = list[:shownFailures], fmt.Sprintf("and %d more checks, in report.json", n)
	}
	return list, more
}

package capacity

import (
	"fmt"
	"slices"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
)

// minServed is what share of a step's requests has to be served, unless an objective is
// about shares.
const minServed = 0.99

// aboutShares reports whether an objective is about shares of the requests.
func aboutShares(list []slo.Objective) bool { return slices.ContainsFunc(list, slo.Objective.Share) }

// Judge says whether a step passed, and if not, why. What is refused is fast: without an
// objective about shares a target must not pass by that.
func Judge(r *report.Report, rate float64, slos []slo.Objective) Step {
	st := Step{Rate: rate, Reached: r.Reached, Goodput: r.Goodput, P50: r.Response.P50, P99: r.Response.P99, Lag: r.Lag.P99,
		Requests: r.Sent, Elapsed: r.Elapsed, Early: r.Ended != ""}
	served := float64(r.Classes[measure.Good] + r.Classes[measure.Late])
	if share := served / float64(max(r.Sent, 1)); share < minServed && !aboutShares(slos) {
		st.Why = fmt.Sprintf("%.1f%% of the requests were served", 100*share)
	}
	// What the target violates by itself comes before what the generator did.
	for _, v := range r.SLOs {
		switch {
		case st.Why != "" && !st.Generator:
		case !v.Met && (st.Why == "" || !v.Generator):
			st.Why, st.Generator = fmt.Sprintf("%s: %s", v.SLO, v.Text), v.Generator
		case v.Met && !v.Steady && st.Why == "":
			st.Why = v.SLO + " at first, and not any more in the last third"
		}
	}
	// Requests that were late took longer, so that objectives that are met are met. Those
	// that were not sent at all are missing.
	if reason := r.Unsent(); reason != "" && st.Why == "" && r.Ended == "" {
		st.Why, st.Generator = reason, true
	}
	if st.Generator && len(r.Invalid) > 0 {
		st.Why += " because " + r.Invalid[0]
	}
	st.Passed = st.Why == ""
	return st
}

// Objectives are the texts of what a step is judged by.
func Objectives(list []slo.Objective) (texts []string) {
	for _, o := range list {
		texts = append(texts, o.String())
	}
	if !aboutShares(list) {
		texts = append(texts, fmt.Sprintf("served>%g%%", 100*minServed))
	}
	return texts
}

// minStepShare is how much of a step a target has to pass before it can be over: what
// builds up slowly shows late.
const minStepShare = 0.5

// Decided says why a step can end before its time, if it can: its verdict is clear.
func Decided(list []slo.Outlook, elapsed, step time.Duration) string {
	if reason := slo.Violated(list); reason != "" {
		return reason
	}
	for _, o := range list {
		if !o.Clear || !o.Met || !o.Steady {
			return ""
		}
	}
	if float64(elapsed) < minStepShare*float64(step) {
		return ""
	}
	return "all objectives are met"
}

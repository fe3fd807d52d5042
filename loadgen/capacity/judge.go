package capacity

import (
	"fmt"
	"slices"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
)

// minServed is the min share of served requests, unless an SLO is on shares.
const minServed = 0.99

// aboutShares reports whether an SLO is on a share of the requests.
func aboutShares(list []slo.Objective) bool { return slices.ContainsFunc(list, slo.Objective.Share) }

// Judge returns the verdict on a step. Shed requests are fast: without an SLO on shares, a
// target must not pass by shedding.
func Judge(r *report.Report, rate float64, slos []slo.Objective) Step {
	st := Step{Rate: rate, RateActual: r.RateActual, Goodput: r.Goodput, P50: r.Response.P50, P99: r.Response.P99, SendDelay: r.SendDelay.P99,
		Requests: r.Sent, Elapsed: r.Elapsed, Early: r.Ended != ""}
	served := float64(r.Classes[measure.Good] + r.Classes[measure.Late])
	if share := served / float64(max(r.Sent, 1)); share < minServed && !aboutShares(slos) {
		st.Reason = fmt.Sprintf("%.1f%% of requests served", 100*share)
	}
	// Violations by the target take precedence over those by the generator.
	for _, v := range r.SLOs {
		switch {
		case st.Reason != "" && !st.Generator:
		case !v.Met && (st.Reason == "" || !v.Generator):
			st.Reason, st.Generator = fmt.Sprintf("%s: %s", v.SLO, v.Text), v.Generator
		case v.Met && !v.Steady && st.Reason == "":
			st.Reason = v.SLO + " violated in the last third"
		}
	}
	// Send delay can only increase response times, so that a met SLO counts. Unsent requests
	// are missing from the measurement.
	if reason := r.Unsent(); reason != "" && st.Reason == "" && r.Ended == "" {
		st.Reason, st.Generator = reason, true
	}
	if st.Generator && len(r.Invalid) > 0 {
		st.Reason += " (" + r.Invalid[0] + ")"
	}
	st.Passed = st.Reason == ""
	return st
}

// Objectives returns the SLOs of a step as texts.
func Objectives(list []slo.Objective) (texts []string) {
	for _, o := range list {
		texts = append(texts, o.String())
	}
	if !aboutShares(list) {
		texts = append(texts, fmt.Sprintf("served>%g%%", 100*minServed))
	}
	return texts
}

// minStepShare is the min share of a passing step: a queue that grows slowly shows late.
const minStepShare = 0.5

// Decided returns a reason to end a step early, if its verdict is clear; else "".
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
	return "all SLOs met"
}

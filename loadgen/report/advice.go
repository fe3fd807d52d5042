package report

import "strings"

// Advice says what to do about a reason for which the report is invalid; "": the reason says it.
func (r *Report) Advice(reason string) string {
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(reason, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has(" was lost after ", " got SIGTERM "):
		return "look at the output of that worker, then run again"
	case has("-start-at", " shards missing"):
		return ""
	case has(" started ", "clock", " has a start "):
		return "run again, with workers on machines that do nothing else"
	case r.Model == "closed":
		return "lower -users, or run loadgen on another machine"
	}
	return "lower the rate, or run loadgen on another machine"
}

// Advices has the advice for each reason for which the report is invalid.
func (r *Report) Advices() (list []string) {
	for _, reason := range r.Invalid {
		list = append(list, r.Advice(reason))
	}
	return list
}

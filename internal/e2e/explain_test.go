package e2e

import (
	"encoding/json"
	"math"
	"testing"

	"soundcheck/loadgen/attack"
)

// explains puts a delay of known size into a fifth of the calls of one program. The
// load generator must name it as the cause, and its size. Where the machine was too busy
// for the attack, the report says so, and it is made again.
func (l *lab) explains(t *testing.T, admin, fault, service string) {
	t.Helper()
	const delay, attempts = 0.200, 5
	l.setFaults(t, admin, fault+"=200ms@20%")
	defer l.setFaults(t, admin)
	for attempt := 1; ; attempt++ {
		out := l.attack(t, "-rate", "40", "-duration", "8s", "-mix", "get=1", "-format", "json")
		var r attack.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if len(r.Invalid) > 0 && attempt < attempts {
			continue
		}
		if r.Classes[attack.Failed] != 0 {
			t.Errorf("%v", r.Classes)
		}
		if len(r.Explained) != 1 || r.Explained[0].Scenario != "get" || len(r.Explained[0].Causes) == 0 {
			t.Fatalf("not explained: %+v", r.Explained)
		}
		a := r.Explained[0]
		if a.SlowFound < a.Slow-1 || a.Found < a.Typical-1 {
			t.Errorf("%d of %d and %d of %d traces were found: %s", a.SlowFound, a.Slow, a.Found, a.Typical, a.Missing)
		}
		c := a.Causes[0]
		if c.Service != service || c.Name != "fault "+fault || math.Abs(c.Difference-delay) > 0.1*delay {
			t.Errorf("the first cause is %+v, want %s, fault %s, 200 ms ± 10%%; invalid: %v", c, service, fault, r.Invalid)
		}
		return
	}
}

package report

import "testing"

// The advice is about what is wrong: a lower rate brings no lost worker back.
func TestAdvice(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"p99 send delay 31 ms, limit 10 ms":                                "lower the rate, or run loadgen on another machine",
		"all 16 workers busy, 4 requests delayed: raise -max-workers":      "lower the rate, or run loadgen on another machine",
		"worker 1: p99 send delay 31 ms, limit 10 ms":                      "lower the rate, or run loadgen on another machine",
		"worker 0 was lost after 7.0 s: the connection ended (10.0.0.1:1)": "look at the output of that worker, then run again",
		"worker 1 started 14ms late, limit 10ms":                           "run again, with workers on machines that do nothing else",
		"worker 2: clock known only to ±20ms, limit 10ms":                  "run again, with workers on machines that do nothing else",
		"2/3 started 2s after the first: use the same -start-at":           "",
		"1 of 3 shards missing":                                            "",
	} {
		r := &Report{Model: "open", Invalid: []string{reason}}
		if got := r.Advices(); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
	if got := (&Report{Model: "closed"}).Advice("p99 send delay 31 ms, limit 10 ms"); got != "lower -users, or run loadgen on another machine" {
		t.Error(got)
	}
}

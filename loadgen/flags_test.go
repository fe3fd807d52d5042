package main

import (
	"io"
	"strings"
	"testing"
)

// Targets can come from another program.
func TestTargetsFromStdin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"GET http://a/x\n\nGET http://a/y\n": "",
		"GET http://a/x\nfoo\n":              `-targets: stdin:2: "foo" is not a header, as in Accept: text/plain`,
	} {
		f := newTargetFlags("loadgen", prefix, "")
		f.stdin = strings.NewReader(in)
		err := f.parse([]string{"-targets", "-"}, func(string) string { return "" }, io.Discard)
		if want == "" && (err != nil || len(f.c.Targets) != 2 || f.c.URL != "stdin") || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, %v of %s, want %s", in, err, f.c.Targets, f.c.URL, want)
		}
	}
}

// A number of requests is sent in full, unless a duration or stages end the plan before.
func TestNumberOfRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args    string
		env     map[string]string
		plan    string
		planned uint64
	}{
		{"-rate 10 -n 500", nil, "50s@10", 500},
		{"-rate 10 -n 5", nil, "500ms@10", 5},
		{"-rate 3 -n 7", nil, "2.334s@3", 7},
		{"-rate 10 -n 500 -duration 30s", nil, "30s@10", 300},
		{"-rate 10 -n 50 -duration 30s", nil, "30s@10", 50},
		{"-rate 10 -n 500", map[string]string{"DURATION": "20s"}, "50s@10", 500},
		{"-rate 10", map[string]string{"DURATION": "20s", "N": "500"}, "20s@10", 200},
		{"-rate 10", map[string]string{"N": "500"}, "50s@10", 500},
		{"-stages 10s@10 -n 500", nil, "10s@10", 100},
		{"-rate 30/1m", nil, "30s@0.5", 15},
		{"-rate 30/m -n 30", nil, "1m0s@0.5", 30},
		{"-rate 0 -workers 2 -n 500", nil, "24h0m0s@0", 0},
		{"-rate 0 -workers 2 -n 500 -duration 1s", nil, "1s@0", 0},
	} {
		c, _, err := parseAttack(strings.Fields(tt.args), func(name string) string { return tt.env[strings.TrimPrefix(name, prefix+"_")] }, io.Discard)
		if err != nil || c.Plan.String() != tt.plan || c.Plan.Planned() != tt.planned {
			t.Errorf("%s %v: %s, %d planned, %v, want %s, %d", tt.args, tt.env, c.Plan, c.Plan.Planned(), err, tt.plan, tt.planned)
		}
	}
	if _, _, err := parseAttack([]string{"-rate", "0.01", "-n", "1000000"}, func(string) string { return "" }, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "-n 1000000 at -rate 0.01 takes longer than 24h") {
		t.Errorf("a number for days: %v", err)
	}
}

// The report says which limit ended the run.
func TestLimit(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	for args, want := range map[string]string{
		"-rate 200 -n 30":                               "limit         max 30 requests (-n)\n",
		"-rate 200 -arrivals poisson -n 30":             "limit         max 30 requests (-n)\n",
		"-rate 100 -duration 200ms -n 30":               "limit         end of the plan, before max 30 requests (-n)\n",
		"-rate 0 -workers 2 -n 30":                      "limit         max 30 requests (-n)\n",
		"-rate 0 -workers 2 -duration 100ms -n 9999999": "limit         end of the plan, before max 9999999 requests (-n)\n",
	} {
		stdout, stderr, code := loadgen(t.Context(), append(strings.Fields(args), "-url", tg.URL)...)
		if code != 0 && code != 4 || !strings.Contains(stdout, want) || strings.HasPrefix(want, "limit         max") && !strings.Contains(stdout, "requests      30 ") {
			t.Errorf("%s: exit code %d, %s\n%s", args, code, stderr, stdout)
		}
	}
}

package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"soundcheck/internal/golden"
)

// -n requests are sent, unless -duration or -stages end the plan earlier.
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
		c, _, err := parseAttack(strings.Fields(tt.args), func(name string) string { return tt.env[strings.TrimPrefix(name, prefix+"_")] }, io.Discard, nil)
		if err != nil || c.Plan.String() != tt.plan || c.Plan.Planned() != tt.planned {
			t.Errorf("%s %v: %s, %d planned, %v, want %s, %d", tt.args, tt.env, c.Plan, c.Plan.Planned(), err, tt.plan, tt.planned)
		}
	}
	if _, _, err := parseAttack([]string{"-rate", "0.01", "-n", "1000000"}, func(string) string { return "" }, io.Discard, nil); err == nil || !strings.HasPrefix(err.Error(), "-n 1000000 at -rate 0.01 takes longer than 24h") {
		t.Errorf("a number for days: %v", err)
	}
}

// The report has the limit that ended the run.
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

func TestEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SOUNDCHECK_LOADGEN_MAX_WORKERS": "7", "SOUNDCHECK_LOADGEN_RATE": "0", "SOUNDCHECK_LOADGEN_SLO": "p99<1s,good>99%"}
	c, _, err := parseAttack([]string{"-rate", "2"}, func(name string) string { return env[name] }, nil, nil)
	if err != nil || c.MaxWorkers != 7 || c.Plan.Planned() != 60 {
		t.Errorf("parse = %+v, %v, want 7 workers and 2/s for 30 s", c, err)
	}
	if len(c.SLOs) != 2 || c.SLOs[1].String() != "good>99%" {
		t.Errorf("objectives %v, want the environment's", c.SLOs)
	}
	// SLOs of the command line replace them.
	if c, _, err = parseAttack([]string{"-slo", "p50<1s", "-slo", "max<2s"}, func(name string) string { return env[name] }, nil, nil); err == nil || c.Workers != 0 {
		t.Errorf("parse = %+v, %v, want an error about -rate 0", c, err)
	}
	delete(env, "SOUNDCHECK_LOADGEN_RATE")
	// Flags override conflicting variables.
	env["SOUNDCHECK_LOADGEN_STAGES"], env["SOUNDCHECK_LOADGEN_WORKERS"] = "1s@10", "4"
	if c, _, err = parseAttack([]string{"-rate", "7"}, func(name string) string { return env[name] }, nil, nil); err != nil || c.Workers != 0 || c.Plan.String() != "30s@7" {
		t.Errorf("plan %s, %d workers, %v, want 30s@7", c.Plan, c.Workers, err)
	}
	delete(env, "SOUNDCHECK_LOADGEN_STAGES")
	delete(env, "SOUNDCHECK_LOADGEN_WORKERS")
	if c, _, err = parseAttack([]string{"-slo", "p50<1s", "-slo", "max<2s"}, func(name string) string { return env[name] }, nil, nil); err != nil || len(c.SLOs) != 2 || c.SLOs[0].String() != "p50<1s" {
		t.Errorf("objectives %v, %v, want those of the command line", c.SLOs, err)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := loadgen(t.Context(), "-h")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and none", code, stderr)
	}
	golden.Check(t, "testdata/help.txt", []byte(stdout))
}

// docs/load-tests.md has each flag of loadgen with its default, and no other.
func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/load-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## Flags\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `-([a-zA-Z0-9-]+)` \\|(?: `(.*?)`)? \\|").FindAllStringSubmatch(section, -1) {
		documented[m[1]] = m[2]
	}
	for _, f := range helpFlags(t) {
		if got, ok := documented[f.name]; !ok || got != f.def {
			t.Errorf("-%s is documented with default %q (%v), want %q", f.name, got, ok, f.def)
		}
		delete(documented, f.name)
	}
	for name := range documented {
		t.Errorf("-%s is documented, but not a flag", name)
	}
}

// Each help text has at most 15 words, for all commands.
func TestHelpIsShort(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"attack", "capacity", "ab", "compare", "merge", "report", "coordinate", "k8s"} {
		list := helpFlags(t, command)
		if len(list) == 0 {
			t.Errorf("%s has no flags", command)
		}
		for _, f := range list {
			if n := len(strings.Fields(f.usage)); n > 15 {
				t.Errorf("%s -%s: %d words, want 15 at most: %s", command, f.name, n, f.usage)
			}
		}
	}
}

type helpFlag struct{ name, usage, def string }

// helpFlags parses the flags of a command's -h.
func helpFlags(t *testing.T, command ...string) (list []helpFlag) {
	t.Helper()
	stdout, stderr, code := loadgen(t.Context(), append(command, "-h")...)
	if code != 0 || stderr != "" {
		t.Fatalf("%v -h: exit code %d, %q", command, code, stderr)
	}
	for _, m := range regexp.MustCompile(`(?m)^  -([a-zA-Z0-9-]+)(?: (\S+))?\n    \t(.*?)(?: \(default (?:"(.*)"|(.*?))\))?$`).FindAllStringSubmatch(stdout, -1) {
		f := helpFlag{m[1], m[3], m[4] + m[5]}
		if f.def == "" { // -h omits zero values
			f.def = map[string]string{"": "false", "duration": "0s", "redirects": "0", "requests": "0", "workers": "0"}[m[2]]
		}
		list = append(list, f)
	}
	return list
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What does not go together with -flow is an error.
func TestFlowFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, full := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "full.yaml")
	for path, text := range map[string]string{good: "steps:\n  - {name: a, get: /a}\n", full: "steps:\n  - {name: a, get: 'http://h/a'}\n", filepath.Join(dir, "bad.yaml"): "steps:\n  - {name: a, get: /a, expect: 999}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"-flow " + good:                                 "-flow needs -users (so many at once) or -rate (new users per second)",
		"-users 5":                                      "-users and -think need -flow",
		"-think 5s":                                     "-users and -think need -flow",
		"-flow " + good + " -users 0":                   "-users 0 is out of range: 1 to 65536",
		"-flow " + good + " -users x":                   `-users: "x" is not a number of users, or stages such as 1m@10..50`,
		"-flow " + good + " -users 5 -rate 3":           "-rate and -users do not go together",
		"-flow " + good + " -users 5 -stages 1s@3":      "-stages and -users do not go together",
		"-flow " + good + " -users 1s@0.5":              "the peak of 0.5 users is out of range",
		"-flow " + good + " -users 1s@5 -duration 3s":   "-duration and -users with stages do not go together",
		"-flow " + good + " -workers 5":                 "-workers and -flow do not go together",
		"-flow " + good + " -users 2 -shard 1/3":        "-users 2 is out of range: 3 to 196608 for 3 processes, each with a user of its own",
		"-flow " + good + " -users 2s@2 -shard 1/3":     "-users: the peak of 2 users is out of range: 3 to 196608 for 3 processes",
		"-flow " + good + " -users 3 -arrivals poisson": "-arrivals and the closed model do not go together",
		"-flow " + good + " -mix get=1 -rate 1":         "-mix and -flow do not go together",
		"-flow " + good + " -record x -rate 1":          "-record and -flow do not go together",
		"-flow " + good + " -cookie-jar -rate 1":        "-cookie-jar and -flow do not go together",
		"-flow " + good + " -rate 1 http://h/":          "-flow and a URL argument do not go together",
		"-flow " + good + " -rate 1 -slo p99(b)<1s":     "-slo p99(b)<1s: scenario b is not in the workload",
		"-flow " + good + " -rate 1 -expect good=200":   "-expect good: scenario good is not in the workload",
		"-flow " + good + " -rate 1 -think 2":           `-think: think "2" is not a duration`,
		"-flow " + full + " -rate 1 -url http://h":      "-url and -flow, whose steps all have full URLs, do not go together",
		"-flow " + full + " -rate 1 -http2":             "-flow: step a: ",
		"-flow none.yaml -rate 1":                       "-flow: open none.yaml: no such file",
		"-flow " + dir + "/bad.yaml -rate 1":            ":2: step a: expect: ",
	} {
		_, _, err := parseAttack(strings.Fields(args), func(string) string { return "" }, io.Discard, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	sum := 0
	for shard := range 3 {
		c, _, err := parseAttack(strings.Fields(fmt.Sprintf("-flow %s -users 1s@0..50 -shard %d/3 -start-at %s", good, shard+1, time.Now().Add(time.Hour).Format(time.RFC3339))), func(string) string { return "" }, io.Discard, nil)
		if err != nil || c.MaxWorkers != c.Workers || len(c.Users) != 1 || c.Users[0].To != 50 {
			t.Errorf("%v: %d workers, users %v", err, c.Workers, c.Users)
		}
		sum += c.Workers
	}
	if sum != 50 {
		t.Errorf("the shards have %d users, want 50", sum)
	}
	c, _, err := parseAttack(strings.Fields("-flow "+good+" -users 1s@0..50,2s@50 -slo p99(good)<1s,p99(a)<1s -n 7"), func(string) string { return "" }, io.Discard, nil)
	if err != nil || c.Workers != 50 || len(c.Users) != 2 || c.Plan.Duration().Seconds() != 3 || c.Plan.Max != 7 || c.Album() {
		t.Errorf("%v: %d workers, users %v, %s, max %d", err, c.Workers, c.Users, c.Plan.Duration(), c.Plan.Max)
	}
	if c, _, err = parseAttack(strings.Fields("-flow "+full+" -users 5 -n 7"), func(string) string { return "" }, io.Discard, nil); err != nil || c.URL != full || c.Workers != 5 || c.Users != nil {
		t.Errorf("%v: target %s, %d workers", err, c.URL, c.Workers)
	}
}

// A run whose steps are all skipped does not blame a warm-up.
func TestNoStep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(path, []byte("steps:\n  - {name: a, get: 'http://127.0.0.1:1/', if: user < 0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := loadgen(t.Context(), "-flow", path, "-users", "1", "-duration", "200ms"); code != 1 || !strings.HasSuffix(stderr, "loadgen: no request sent: check the if of each step\n") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// The flow in the guide is the file that it names.
func TestFlowOfTheGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/load-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/checkout.yaml")
	if err != nil || !strings.Contains(string(guide), "```yaml\n"+string(text)+"```\n") {
		t.Errorf("docs/load-tests.md does not have docs/checkout.yaml as it is: %v", err)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/loadgen/compare"
)

func readResult(t *testing.T, stdout, stderr string) compare.Result {
	t.Helper()
	var r compare.Result
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Version != compare.Version || len(r.Metrics) != 3 {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
	return r
}

// A target that is a second slower regressed, an equal one has too few requests to say that it did not. With CPU
// saturation the comparison is inconclusive.
func TestAB(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, wrap func(http.Handler) http.Handler) (compare.Result, string, int) {
		a, b := newTarget(t, nil), newTarget(t, wrap)
		stdout, stderr, code := loadgen(t.Context(), "ab", "-a", a.URL+"/", "-b", b.URL, "-rate", "100", "-block", "50ms", "-duration", "1s")
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "loadgen: -block 50ms is out of range: 200ms to 45m0s\n") {
			t.Errorf("exit code %d, %q", code, stderr)
		}
		stdout, stderr, code = loadgen(t.Context(), "ab", "-a", a.URL+"/", "-b", b.URL, "-rate", "50", "-block", "200ms", "-duration", "6400ms", "-warmup", "100ms", "-format", "json", "-quiet")
		r := readResult(t, stdout, stderr)
		if r.Design != "abba" || r.Units != 8 || r.A.Good != 160 || r.B.Good != 160 || r.A.Served != 160 || r.A.Seconds < 3.199 || r.A.Seconds > 3.201 || r.A.Name != a.URL || r.B.Name != b.URL {
			t.Errorf("%+v, want 8 quads, 160 good requests to either in 3.2 s", r)
		}
		// The warm-up is half a block of B: the sequence extends backwards.
		if len(a.parents)+len(b.parents) != 325 {
			t.Errorf("%d and %d requests, want 325", len(a.parents), len(b.parents))
		}
		return r, stderr, code
	}
	t.Run("slower", func(t *testing.T) {
		t.Parallel()
		r, stderr, code := run(t, slow(time.Second))
		switch {
		case len(r.Invalid) > 0 && code == 5 && strings.HasPrefix(stderr, "loadgen: comparison inconclusive: "):
		case code == 3 && r.Verdict == compare.Regressed && strings.HasPrefix(stderr, "loadgen: B regressed: p50 +"):
		default:
			t.Errorf("exit code %d, %q, %+v, want 3", code, stderr, r)
		}
		if r.Metrics[0].B < 1 || r.Metrics[1].NotFound != "too few served requests: 160 and 160; p99 needs 1000" {
			t.Errorf("%+v, want a p50 of 1 s at least, and no p99", r.Metrics)
		}
	})
	t.Run("equal", func(t *testing.T) {
		t.Parallel()
		var r compare.Result
		var stderr string
		var code int
		for range 5 { // a busy machine is not equally busy all the time, but B does not regress by chance each time
			if r, stderr, code = run(t, nil); code != 3 || r.Verdict != compare.Regressed {
				break
			}
			t.Log(stderr)
		}
		if code != 5 || r.Verdict != compare.Inconclusive || len(r.Invalid) == 0 && !strings.Contains(stderr, "p99: too few served requests") {
			t.Errorf("exit code %d, %q, %+v, want 5: it has no p99", code, stderr, r)
		}
	})
}

// The gate of CI fails if B regressed, and writes the files of the comparison.
func TestPerfGate(t *testing.T) {
	t.Parallel()
	a, b := newTarget(t, nil), newTarget(t, slow(time.Second))
	gate := func(env ...string) (stdout, stderr string, code int) {
		cmd := exec.Command("../tools/perf-gate.sh")
		cmd.Env = append(os.Environ(), env...)
		var out, log strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &log
		_ = cmd.Run()
		return out.String(), log.String(), cmd.ProcessState.ExitCode()
	}
	dir := filepath.Join(t.TempDir(), "gate")
	summary := filepath.Join(t.TempDir(), "summary.md")
	for range 2 { // the second one replaces the files
		stdout, stderr, code := gate("A="+a.URL, "B="+b.URL, "REQUEST=/albums/1", "LOAD=-rate 50 -block 200ms -duration 6400ms -warmup 0s", "OUT="+dir, "TRIES=2", "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY="+summary)
		if code != 3 && !strings.Contains(stderr, "send delay") || code == 3 && !strings.Contains(stdout, "::error title=Load test%3A p50 regressed::") {
			t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
		}
	}
	text, err := os.ReadFile(summary)
	md, e := os.ReadFile(filepath.Join(dir, "comparison.md"))
	if err := errors.Join(err, e); err != nil || strings.Count(string(text), "### Load test: ") != 2 || !strings.HasSuffix(string(text), string(md)) {
		t.Errorf("%v, summary\n%s", err, text)
	}
	for want, env := range map[string][]string{
		"set BASE to a commit, or A and B to URLs": nil,
		"set either BASE, or both A and B":         {"A=http://a"},
		"no commit nowhere: fetch it":              {"BASE=nowhere"},
	} {
		if _, stderr, code := gate(append(env, "OUT="+dir)...); code != 2 || !strings.HasPrefix(stderr, "perf-gate: "+want) {
			t.Errorf("%q: exit code %d, %s, want %s", env, code, stderr, want)
		}
	}
}

func TestABInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var requests atomic.Int64
	a, b := newTarget(t, nil), newTarget(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) == 25 { // in its third block
				cancel()
			}
			next.ServeHTTP(w, r)
		})
	})
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"ab", "-a", a.URL, "-b", b.URL, "-rate", "50", "-block", "200ms", "-warmup", "0", "-out", out}
	stdout, stderr, code := loadgen(ctx, args...)
	for suffix, want := range map[string]string{"txt": stdout, "md": "### Load test: comparison inconclusive", "json": "{\n  \"version\": 1,\n"} {
		if b, err := os.ReadFile(filepath.Join(out, "comparison."+suffix)); err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("comparison.%s: %v, %s", suffix, err, b)
		}
	}
	if _, stderr, code := loadgen(t.Context(), args...); code != 1 || stderr != "loadgen: -out: "+out+" already contains a comparison\n" {
		t.Errorf("a second comparison: exit code %d, %s", code, stderr)
	}
	if code != 1 || !strings.HasPrefix(stderr, "loadgen: interrupted after ") || !strings.Contains(stdout, "\nverdict: inconclusive\n") {
		t.Errorf("exit code %d, %q\n%s, want 1 and the result so far", code, stderr, stdout)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fast, slow := newTarget(t, nil), newTarget(t, slow(2*time.Second))
	folders := make(chan string)
	attack := func(url, name, duration string) {
		folder := filepath.Join(dir, name)
		if stdout, stderr, code := loadgen(t.Context(), "-rate", "20", "-duration", duration, "-out", folder, "-keep", "", "-quiet", "-url", url); code != 0 && code != 4 { // see wantDone
			t.Errorf("exit code %d, %q\n%s", code, stderr, stdout)
		}
		folders <- folder
	}
	go attack(fast.URL, "a", "1s")
	go attack(slow.URL, "b", "1500ms")
	<-folders
	<-folders
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	stdout, stderr, code := loadgen(t.Context(), "compare", "-format", "json", a, b)
	r := readResult(t, stdout, stderr)
	if code != 5 || r.Verdict != compare.Inconclusive || r.A.Good != 20 || r.B.Good != 30 || r.A.Seconds != 1 || r.B.Seconds != 1.5 || r.Metrics[2].B != 20 || r.Metrics[0].Found != nil {
		t.Errorf("exit code %d, %q, %+v, want too few blocks", code, stderr, r)
	}
	if len(r.Warnings) != 1 || r.Warnings[0] != "different stages: A 1s@20, B 1.5s@20" {
		t.Errorf("warnings %q", r.Warnings)
	}

	// Long runs are made from these: a test does not have the time for real ones.
	a, b = stretched(t, a, 40), stretched(t, b, 40)
	for _, tt := range []struct {
		a, b string
		code int
		want string
	}{
		{a, b, 3, "loadgen: B regressed: p50 +"},
		{b, a, 5, "loadgen: comparison inconclusive: p99: too few served requests: "},
		{a, filepath.Join(dir, "c"), 1, "loadgen: open "},
	} {
		stdout, stderr, code := loadgen(t.Context(), "compare", tt.a, tt.b)
		if code != tt.code || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("compare %s %s: exit code %d, %q\n%s, want %d, %q", tt.a, tt.b, code, stderr, stdout, tt.code, tt.want)
		}
	}
}

// stretched copies a run with its first interval repeated, without its plan and its reasons
// for INVALID.
func stretched(t *testing.T, folder string, times int) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	delete(r, "invalid")
	delete(r, "stages")
	r["sent"] = 20 * times
	first := r["intervals"].([]any)[0]
	list := []any{}
	for range times {
		list = append(list, first)
	}
	r["intervals"] = list
	if b, err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, "report.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCompareUsage(t *testing.T) {
	t.Parallel()
	urls := []string{"ab", "-a", "http://a", "-b", "http://b"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"compare", "x"}, "expected two directories, as in loadgen compare .lab/runs/1 .lab/runs/2"},
		{[]string{"compare", "-tolerance", "5", "x", "y"}, `invalid value "5" for flag -tolerance: not a percentage, as in 5%`},
		{[]string{"compare", "-tolerance", "101%", "x", "y"}, `invalid value "101%" for flag -tolerance: out of range: 0% to 100%`},
		{[]string{"compare", "-tolerance", "NaN%", "x", "y"}, `invalid value "NaN%" for flag -tolerance: out of range: 0% to 100%`},
		{[]string{"compare", "-format", "xml", "x", "y"}, `-format "xml" is not text, json, markdown or github`},
		{[]string{"ab"}, "-a and -b are required"},
		{[]string{"ab", "-a", "http://a"}, "-a and -b are required"},
		{[]string{"ab", "-a", "http://a", "-b", "b"}, `-b: "b" is not an http:// or https:// URL with a host`},
		{append(urls, "-url", "http://c"), "flag provided but not defined: -url"},
		{append(urls, "-targets", "x"), "flag provided but not defined: -targets"},
		{append(urls, "-rate", "0"), "-rate 0 is out of range: 0.01 to 100000"},
		{append(urls, "-block", "199ms"), "-block 199ms is out of range: 200ms to 45m0s"},
		{append(urls, "-duration", "31s"), "-duration 31s is less than 32 blocks: use -duration 32s, or a shorter -block"},
		{append(urls, "-duration", "11m"), "-duration 11m0s is more than 600 blocks: use -duration 10m0s, or a longer -block"},
		{append(urls, "-duration", "33s"), "-duration 33s is not a multiple of A B B A (4s): use -duration 36s"},
		{append(urls, "-arrivals", "late"), `-arrivals "late" is not constant or poisson`},
		{append(urls, "-warmup", "-1s"), "-warmup -1s is out of range: 0 to 10m"},
		{append(urls, "x"), `unexpected argument "x": a path of both services, as in /api/items?page=2`},
	} {
		stdout, stderr, code := loadgen(t.Context(), tt.args...)
		if code != 2 || stdout != "" || stderr != "loadgen: "+tt.want+"\nrun \"loadgen "+tt.args[0]+" -h\" for help\n" {
			t.Errorf("loadgen %q: exit code %d, stdout %q, stderr %q, want 2, none, %q and the usage", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

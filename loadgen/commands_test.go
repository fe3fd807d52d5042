package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

func slow(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(d)
			next.ServeHTTP(w, r)
		})
	}
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	args := []string{"capacity", "-step", "2s", "-warmup", "100ms", "-format", "json", "-mix", "list=1"}
	// A target that is always too slow, and one that meets its SLOs.
	for _, tt := range []struct {
		wrap  func(http.Handler) http.Handler
		args  []string
		code  int
		limit capacity.Limit
		steps int
	}{
		{slow(200 * time.Millisecond), []string{"-slo", "p50<100ms"}, 3, capacity.Lowest, 1},
		{nil, []string{"-slo", "p50<10s,good>90%", "-from", "20", "-to", "40"}, 0, capacity.Highest, 2},
	} {
		tg := newTarget(t, tt.wrap)
		var stdout, stderr string
		var code int
		var r capacity.Result
		var err error
		for range 5 {
			stdout, stderr, code = loadgen(t.Context(), append(append(args, "-url", tg.URL), tt.args...)...)
			r = capacity.Result{}
			if err = json.Unmarshal([]byte(stdout), &r); err != nil || r.Limit != capacity.Generator {
				break
			}
		}
		if r.Limit == capacity.Generator && tt.limit == capacity.Highest {
			t.Logf("CPU saturation: cannot send %v on time: %s", tt.args, stderr)
			continue
		}
		if err != nil || code != tt.code || r.Limit != tt.limit || len(r.Steps) != tt.steps || r.Version != capacity.ResultVersion {
			t.Errorf("%v: exit code %d, %v, %+v\n%s", tt.args, code, err, r, stderr)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "-slo is required, as in -slo 'p99<100ms'"},
		{[]string{"-slo", "p99<1s", "-from", "0"}, "-from 0 is out of range: 0.01 to 100000"},
		{[]string{"-slo", "p99<=1s", "-from", "60/m", "-to", "1/2s"}, "-to 0.5 is out of range: 1 (-from) to 100000"},
		{[]string{"-slo", "p99<1s", "-to", "10"}, "-to 10 is out of range: 50 (-from) to 100000"},
		{[]string{"-slo", "p99<1s", "-precision", "2"}, "-precision 2 is out of range: 0.005 to 1"},
		{[]string{"-slo", "p99<1s", "-step", "1s"}, "-step 1s is out of range: 2s to 1h"},
		{[]string{"-slo", "p99<1s", "-warmup", "-1s"}, "-warmup -1s is out of range: 0s to 10m"},
		{[]string{"-slo", "p99<1s", "-from", "1", "-step", "2s"}, "-from 1 for -step 2s is less than 10 requests: too few for a verdict"},
		{[]string{"-slo", "p99<1s", "-format", "xml"}, `-format "xml" is not text or json`},
		{[]string{"-slo", "p99<1s", "more"}, `unexpected argument "more"`},
	} {
		if stdout, stderr, code := loadgen(t.Context(), append([]string{"capacity"}, tt.args...)...); code != 2 || stdout != "" || !strings.HasPrefix(stderr, "loadgen: "+tt.want+"\n") {
			t.Errorf("capacity %v: exit code %d, %q, want 2, %q", tt.args, code, stderr, tt.want)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	dir := t.TempDir()
	var folders []string
	for _, shard := range []string{"1/2", "2/2"} {
		folder := filepath.Join(dir, strings.ReplaceAll(shard, "/", "-"))
		folders = append(folders, folder)
		stdout, stderr, code := loadgen(t.Context(), "-rate", "100", "-duration", "1s", "-shard", shard, "-out", folder, "-url", tg.URL)
		wantDone(t, stdout, stderr, code)
	}
	out := filepath.Join(dir, "merged")
	stdout, stderr, code := loadgen(t.Context(), append([]string{"merge", "-format", "json", "-out", out}, folders...)...)
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 4 || r.Sent != 100 || r.Planned != 100 || r.Classes[measure.Good] != 100 {
		t.Errorf("exit code %d, %v, %+v\n%s", code, err, r, stderr)
	}
	if !strings.Contains(strings.Join(r.Invalid, "\n"), "after the first: use the same -start-at") {
		t.Errorf("invalid because %q, want different start times", r.Invalid)
	}
	if reread, err := report.Read(out); err != nil || reread.Response != r.Response {
		t.Errorf("written: %+v, %v", reread, err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "expected directories of runs"},
		{[]string{dir}, 1, "report.json: no such file or directory"},
		{[]string{"-out", out, folders[0]}, 1, "-out: " + out + " already contains a run"},
		{[]string{"-format", "xml", folders[0]}, 2, `-format "xml" is not text`},
		{[]string{folders[0], folders[0]}, 1, "merge: "},
	} {
		if _, stderr, code := loadgen(t.Context(), append([]string{"merge"}, tt.args...)...); code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("merge %v: exit code %d, %q, want %d, %q", tt.args, code, stderr, tt.code, tt.want)
		}
	}
}

func TestRecordAndReplay(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	file := filepath.Join(t.TempDir(), "requests")
	stdout, stderr, code := loadgen(t.Context(), "-rate", "100", "-duration", "500ms", "-record", file, "-url", tg.URL)
	wantDone(t, stdout, stderr, code)
	stdout, stderr, code = loadgen(t.Context(), "-replay", file, "-url", tg.URL)
	wantDone(t, stdout, stderr, code)
	if !strings.Contains(stdout, "plan          replay of "+file+"\n") || !strings.Contains(stdout, "requests      50 of 50 planned") {
		t.Errorf("replay\n%s", stdout)
	}
	if _, stderr, code := loadgen(t.Context(), "-record", file, "-url", tg.URL); code != 1 || !strings.HasPrefix(stderr, "loadgen: -record: open "+file+": file exists") {
		t.Errorf("-record to an existing file: exit code %d, %q", code, stderr)
	}
}

// A run with a clearly violated SLO ends early.
func TestAbort(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, slow(100*time.Millisecond))
	begun := time.Now()
	stdout, stderr, code := loadgen(t.Context(), "-rate", "200", "-duration", "1h", "-slo", "p50<20ms", "-abort-on-slo", "-url", tg.URL)
	if time.Since(begun) > 10*time.Minute || code != 3 && code != 4 || !strings.Contains(stdout, "p50<20ms  VIOLATED") {
		t.Errorf("after %s: exit code %d, %q\n%s", time.Since(begun), code, stderr, stdout)
	}
	if !strings.Contains(stdout, "ended early   SLO p50<20ms violated\n") {
		t.Errorf("the report has no reason for the early end\n%s", stdout)
	}
}

// The history has the last runs, and only in a lab.
func TestKeep(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	lab := t.TempDir()
	keep := filepath.Join(lab, "runs")
	for _, name := range []string{"20200101T000000Z-0000", "mine", "20990101T000000Z-0000"} {
		if err := os.MkdirAll(filepath.Join(keep, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range report.KeptRuns - 2 {
		if err := os.MkdirAll(filepath.Join(keep, time.Date(2021, 1, 1, 0, 0, i, 0, time.UTC).Format(runTime)+"-0000"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	stdout, stderr, code := loadgen(t.Context(), "-rate", "100", "-duration", "100ms", "-keep", keep, "-url", tg.URL)
	wantDone(t, stdout, stderr, code)
	list, err := os.ReadDir(keep)
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Name() != "20210101T000000Z-0000" || len(list) != report.KeptRuns+1 || list[len(list)-1].Name() != "mine" {
		t.Errorf("%d kept, from %s on", len(list), list[0].Name())
	}
	r, err := report.Read(filepath.Join(keep, list[len(list)-3].Name()))
	if err != nil || r.Sent != 10 {
		t.Errorf("the run: %+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(keep, r.RunID, "results.csv.zst")); !os.IsNotExist(err) {
		t.Errorf("raw results are kept: %v", err)
	}
	// Without a lab there is no history.
	stdout, stderr, code = loadgen(t.Context(), "-rate", "100", "-duration", "100ms", "-keep", filepath.Join(lab, "none", "runs"), "-url", tg.URL)
	wantDone(t, stdout, stderr, code)
	if _, err := os.Stat(filepath.Join(lab, "none")); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
}

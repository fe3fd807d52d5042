package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

func TestClosedModelAndJSON(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	stdout, stderr, code := loadgen(t.Context(), "-rate", "0", "-workers", "3", "-n", "120", "-format", "json", "-url", tg.URL)
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q, %v\n%s", code, stderr, err, stdout)
	}
	if r.Version != report.Version || r.Model != "closed" || r.Workers != 3 || r.Sent != 120 || r.Classes[measure.Good] != 120 || r.Peak > 3 || r.Goodput <= 0 || r.SendDelay.Max != 0 {
		t.Errorf("%+v", r)
	}
}

// While it runs, the run directory has the progress, and the name is in the report.
func TestProgressAndName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var once sync.Once
	var p report.Progress // the first one with requests; it ends the run
	tg := newTarget(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first, last, _, err := report.ReadProgress(dir)
			if err == nil && last[len(last)-1].Classes[measure.Good] > 0 && last[len(last)-1].RateActual > 0 {
				once.Do(func() {
					p = last[len(last)-1]
					p.Name, p.Target, p.PID = first.Name, first.Target, first.PID
					stop()
				})
			}
			h.ServeHTTP(w, r)
		})
	})
	stdout, stderr, code := loadgen(ctx, "-rate", "50", "-duration", "5m", "-name", "before the fix", "-out", dir, "-url", tg.URL)
	if code != 1 || !strings.Contains(stdout, "name          before the fix\n") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	once.Do(func() { t.Error("the run showed no progress") }) // and no handler writes p any more
	if p.Phase != report.Running || p.Name != "before the fix" || p.Target != tg.URL || p.PID != os.Getpid() || p.Elapsed <= 0 || p.Duration != 300 || p.RateTarget != 50 || p.RateActual <= 0 || p.Requests == 0 || p.Classes[measure.Good] == 0 {
		t.Errorf("%+v", p)
	}
	if _, _, _, err := report.ReadProgress(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the run: %v", err)
	}
	for _, bad := range []string{strings.Repeat("x", 101), "two\nlines"} {
		if _, stderr, code := loadgen(t.Context(), "-name", bad); code != 2 || !strings.Contains(stderr, "is not a line of up to 100 characters") {
			t.Errorf("-name %q: exit code %d, %s", bad, code, stderr)
		}
	}
}

// -out stores the run: loadgen report prints it, vegeta reads the results, HdrHistogram reads
// the histograms. A directory contains one run.
func TestOut(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"-rate", "500", "-warmup", "50ms", "-duration", "250ms", "-slo", "good>99%", "-out", dir, "-url", tg.URL}
	stdout, stderr, code := loadgen(t.Context(), args...)
	wantDone(t, stdout, stderr, code)
	if reread, stderr, code := loadgen(t.Context(), "report", dir); reread != stdout || code != 0 || stderr != "" {
		t.Errorf("report: exit code %d, %s\n%s, want\n%s", code, stderr, reread, stdout)
	}
	stdout, _, _ = loadgen(t.Context(), "report", "-format", "json", dir)
	var short, long report.Report
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err = errors.Join(err, json.Unmarshal(b, &long), json.Unmarshal([]byte(stdout), &short)); err != nil {
		t.Fatal(err)
	}
	if len(long.Histograms) < 6 || len(short.Histograms) != 0 || long.Response != short.Response || short.Sent != 100 {
		t.Errorf("report.json: %+v, shown %+v", long, short)
	}
	for format, begins := range map[string]string{"markdown": "## Load test of ", "html": "<!DOCTYPE html>\n"} {
		if stdout, stderr, code := loadgen(t.Context(), "report", "-format", format, dir); !strings.HasPrefix(stdout, begins) || !strings.Contains(stdout, long.RunID) || code != 0 {
			t.Errorf("report -format %s: exit code %d, %s\n%s", format, code, stderr, stdout)
		}
	}
	stdout, stderr, code = loadgen(t.Context(), "report", "-format", "csv", dir)
	if code != 0 || stderr != "" {
		t.Errorf("report -format csv: exit code %d, %s", code, stderr)
	}
	n, warmUp := 0, 0
	for dec := vegeta.DecoderFor(strings.NewReader(stdout)); ; n++ {
		var res vegeta.Result
		if err := dec.Decode(&res); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if string(res.Body) == "warm-up" {
			warmUp++
		}
		if from := long.StartedAt.Add(50 * time.Millisecond); res.Timestamp.Before(from) != (len(res.Body) > 0) || res.Latency <= 0 {
			t.Errorf("result %+v, the warm-up ends at %s", res, from)
		}
		if res.Attack != long.RunID || !strings.HasPrefix(res.URL, tg.URL+"/albums") || res.BytesIn == 0 || (res.Method == "POST") != (res.BytesOut > 0) {
			t.Errorf("result %+v", res)
		}
	}
	if n != 125 || warmUp != 25 || long.WarmUp != 25 {
		t.Errorf("%d results, %d of them of the warm-up, want 125 and 25", n, warmUp)
	}
	for _, name := range []string{"response", "service", "send_delay"} {
		hgrm, err := os.ReadFile(filepath.Join(dir, name+".hgrm"))
		if err != nil || !strings.Contains(string(hgrm), "#[Max     = ") || !strings.Contains(string(hgrm), "Total count    =          100]") {
			t.Errorf("%s.hgrm: %v\n%s", name, err, hgrm)
		}
		hlog, err := os.Open(filepath.Join(dir, name+".hlog"))
		if err != nil {
			t.Fatal(err)
		}
		h, err := hdrhistogram.NewHistogramLogReader(hlog).NextIntervalHistogram()
		if err != nil || h == nil || h.TotalCount() != 100 {
			t.Errorf("%s.hlog: %v, %v", name, h, err)
		}
		hlog.Close()
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{args, 1, "loadgen: -out: " + dir + " already contains a run\n"},
		{[]string{"report", t.TempDir()}, 1, "report.json: no such file or directory\n"},
		{[]string{"report"}, 2, "loadgen: expected one directory"},
		{[]string{"report", "-format", "xml", dir}, 2, `loadgen: -format "xml" is not text, json, markdown, html, junit or github`},
	} {
		if stdout, stderr, code := loadgen(t.Context(), tt.args...); code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit code %d, %q, %q, want %d, %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
}

// A target that is too slow for the workers makes the report invalid.
func TestInvalid(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(20 * time.Millisecond)
			h.ServeHTTP(w, r)
		})
	})
	stdout, stderr, code := loadgen(t.Context(), "-rate", "200", "-duration", "500ms", "-max-workers", "2", "-quiet", "-url", tg.URL)
	if code != 4 || !strings.HasPrefix(stdout, "INVALID       p99 send delay ") || !strings.Contains(stdout, "\nINVALID       all 2 workers busy") ||
		!strings.HasPrefix(stderr, "loadgen: report invalid: ") {
		t.Errorf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
}

// With SLOs, failed requests alone do not fail the run.
func TestSLOs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		slo    []string
		code   int
		stderr string
		stdout string
	}{
		{[]string{"-slo", "good>85%"}, 0, "", "\n  good>85%  met       90.000%\n"},
		{[]string{"-slo", "good>95%", "-slo", "max<1h"}, 3, "loadgen: 1 of 2 SLOs violated\n", "\n  good>95%  VIOLATED  90.000%\n  max<1h    met "},
		{[]string{"-slo", "p99(get)<1us"}, 3, "loadgen: 1 of 1 SLOs violated\n", "\nlate          70 (70.00%)\n"},
	} {
		tg := newTarget(t, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					http.Error(w, "full", http.StatusServiceUnavailable)
					return
				}
				h.ServeHTTP(w, r)
			})
		})
		stdout, stderr, code := loadgen(t.Context(), append(tt.slo, "-rate", "500", "-duration", "200ms", "-url", tg.URL)...)
		if (code != tt.code || stderr != tt.stderr) && code != 4 || !strings.Contains(stdout, tt.stdout) { // see wantDone
			t.Errorf("%v: exit code %d, stderr %q, want %d, %q\n%s", tt.slo, code, stderr, tt.code, tt.stderr, stdout)
		}
	}
}

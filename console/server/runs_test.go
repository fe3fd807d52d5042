package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"

	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

const (
	older = "20260504T100000Z-0001"
	newer = "20260504T110000Z-0002"
)

// attacked lets loadgen attack a service for a second, and keeps the run. It begins when
// its id says.
func attacked(t *testing.T, state, id string, h http.HandlerFunc) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	folder, err := report.NewFolder(filepath.Join(state, "runs", id), false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := engine.Run(t.Context(), engine.Config{RunID: id, URL: srv.URL, Plan: schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second, From: 50, To: 50}}},
		Timeout: 5 * time.Minute, MaxWorkers: 50, Seed: 1, Workload: workload.Workload{Targets: []vegeta.Target{{Method: http.MethodGet, URL: srv.URL + "/x"}}}, TraceSample: 1,
		MeterProvider: metricnoop.NewMeterProvider(), Propagator: propagation.TraceContext{}})
	if err != nil {
		t.Fatal(err)
	}
	r.StartedAt, r.Invalid = begun(id), nil // a busy machine is not what is tested
	if err := folder.Finish(r); err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, h http.Handler, path string, into any) {
	t.Helper()
	resp, body := do(t, h, http.MethodGet, path, "")
	if err := json.Unmarshal([]byte(body), into); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s = %d %.300s, %v", path, resp.StatusCode, body, err)
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := console(t, Config{State: dir})
	var list struct {
		Runs []run
		More bool
	}
	decode(t, h, "/-/runs", &list)
	if list.Runs == nil || len(list.Runs) != 0 {
		t.Fatalf("no folder: %+v", list)
	}
	attacked(t, dir, older, func(w http.ResponseWriter, _ *http.Request) {})
	attacked(t, dir, newer, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	for name, report := range map[string]string{"20260504T120000Z-0003": "", "broken": "{", "future": `{"version":99}`} {
		if err := os.MkdirAll(filepath.Join(dir, "runs", name), 0o755); err != nil {
			t.Fatal(err)
		}
		if report != "" {
			if err := os.WriteFile(filepath.Join(dir, "runs", name, "report.json"), []byte(report), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	decode(t, h, "/-/runs", &list)
	var got []string
	for _, r := range list.Runs {
		got = append(got, r.ID+" "+r.Verdict)
	}
	want := "20260504T120000Z-0003 unfinished, " + newer + " failed, " + older + " good, broken unreadable, future unreadable"
	if strings.Join(got, ", ") != want {
		t.Errorf("runs: %s\nwant: %s", strings.Join(got, ", "), want)
	}
	if r := list.Runs[2]; r.Sent != 50 || r.RateTarget != 50 || r.RateActual == 0 || r.P99 == 0 || r.Plan != "1s@50" || r.Classes[measure.Good] != 50 || !r.Finished {
		t.Errorf("%+v", r)
	}
	var one struct {
		Verdict, Because string
		Files            []string
		Report           report.Report
	}
	decode(t, h, "/-/runs/"+newer, &one)
	if one.Verdict != "failed" || one.Because != "50 of 50 requests failed or shed" || one.Report.RunID != newer || len(one.Report.Histograms) != 0 || len(one.Files) != len(runFiles)-2 { // the report has no deprecated files
		t.Errorf("%s, %s, files %q, %d histograms", one.Verdict, one.Because, one.Files, len(one.Report.Histograms))
	}
	for _, path := range []string{"broken", "future"} {
		if resp, body := do(t, h, http.MethodGet, "/-/runs/"+path, ""); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `"error":`) {
			t.Errorf("%s = %d %s", path, resp.StatusCode, body)
		}
	}
	compared(t, h)
	files(t, dir, h)
}

// compared checks the comparison of two runs: it equals that of loadgen.
func compared(t *testing.T, h http.Handler) {
	var c struct {
		Summary string
		Result  struct {
			Verdict string
			A, B    struct{ Name string }
			Metrics []struct{ Name string }
		}
	}
	decode(t, h, "/-/runs/compare?a="+older+"&b="+newer, &c)
	if c.Result.Verdict != "inconclusive" || !strings.Contains(c.Summary, "too few blocks") || !strings.HasPrefix(c.Result.A.Name, older) || !strings.HasPrefix(c.Result.B.Name, newer) || len(c.Result.Metrics) != 3 {
		t.Errorf("%+v", c)
	}
	for query, want := range map[string]int{"": 400, "a=" + older: 400, "a=" + older + "&b=none": 404, "a=../runs&b=" + newer: 400, "a=" + older + "&b=" + newer + "&tolerance=101": 400,
		"a=" + older + "&b=broken": 422, "a=" + older + "&b=" + newer + "&c=1": 400} {
		if resp, body := do(t, h, http.MethodGet, "/-/runs/compare?"+query, ""); resp.StatusCode != want || !strings.Contains(body, `"error":`) {
			t.Errorf("compare?%s = %d %s, want %d", query, resp.StatusCode, body, want)
		}
	}
}

// files checks that a run's files are served, and no other file.
func files(t *testing.T, dir string, h http.Handler) {
	secret := filepath.Join(dir, "secret")
	for path, content := range map[string]string{secret: "secret", filepath.Join(dir, "runs", older, "results.csv.zst"): "secret", filepath.Join(dir, "report.json"): "secret"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "runs", older, "send_delay.hgrm")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "runs", "linked")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{older + "/results.csv.zst", older + "/send_delay.hgrm", older + "/..%2f..%2fsecret", older + "/%2e%2e", "..%2f/report.json", "%2e%2e/report.json", "..%2f..%2fetc/passwd",
		".hidden/report.json", "linked/report.json", "none/report.json", "a%00b/report.json", older + "%2freport.json", "20260504T120000Z-0003/report.json"} {
		resp, body := do(t, h, http.MethodGet, "/-/runs/"+path, "")
		if resp.StatusCode == http.StatusOK || strings.Contains(body, "secret") && !strings.Contains(body, `"error":`) {
			t.Errorf("%s = %d %s", path, resp.StatusCode, body)
		}
	}
	for name, kind := range map[string]string{"report.json": "application/json", "report.txt": "text/plain; charset=utf-8", "report.html": "text/html; charset=utf-8", "response.hlog": "text/plain; charset=utf-8"} {
		resp, body := do(t, h, http.MethodGet, "/-/runs/"+older+"/"+name, "")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind || body == "" {
			t.Errorf("%s = %d %s, %d bytes", name, resp.StatusCode, resp.Header.Get("Content-Type"), len(body))
		}
		got := resp.Header.Values("Content-Security-Policy")
		if want := map[bool]string{true: reportPolicy, false: policy}[name == "report.html"]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: policy %q, want %q", name, got, want)
		}
	}
	if strings.Contains(reportPolicy, "allow-same-origin") || !strings.HasPrefix(reportPolicy, "sandbox ") {
		t.Errorf("a report is not shut off: %s", reportPolicy)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	good, shed := map[measure.Class]int{measure.Good: 10}, map[measure.Class]int{measure.Good: 9, measure.Shed: 1}
	for _, tt := range []struct {
		r    report.Report
		want string
	}{
		{report.Report{}, "failed"},
		{report.Report{Sent: 10, Cancelled: 10}, "failed"},
		{report.Report{Sent: 10, Classes: good}, "good"},
		{report.Report{Sent: 10, Classes: shed}, "failed"},
		{report.Report{Sent: 10, Classes: shed, SLOs: []slo.Verdict{{Met: true}}}, "met"},
		{report.Report{Sent: 10, Classes: good, SLOs: []slo.Verdict{{Met: true}, {}}}, "violated"},
		{report.Report{Sent: 10, Classes: good, Invalid: []string{"late"}, SLOs: []slo.Verdict{{}}}, "invalid"},
	} {
		if got, why := verdict(&tt.r); got != tt.want || why == "" {
			t.Errorf("verdict(%+v) = %s, %q, want %s", tt.r, got, why, tt.want)
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]*report.Report{
		"1 worker":           {Model: "closed", Workers: 1},
		"2 users":            {Model: "closed", Workers: 2, Flow: &report.Flow{}},
		"users 30s@0..20":    {Model: "closed", Workers: 20, Flow: &report.Flow{Users: "30s@0..20"}},
		"30s@5":              {Model: "open", Stages: "30s@5", Flow: &report.Flow{}},
		"replay of run.json": {Replay: "/a/run.json"},
	} {
		if got := planOf(r); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

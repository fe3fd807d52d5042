package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"soundcheck/internal/golden"
	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

// fixture feeds a builder with outcomes.
type fixture struct {
	*Builder
	elapsed time.Duration
	peak    int
	over    bool
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// wants are the expected statuses by scenario.
var wants = map[string]int{"get": 200, "list": 200, "create": 201}

// result adds a request with a send delay, a service time, and a status or an error category.
func (f *fixture) result(seq uint64, scenario string, sendDelay, latency time.Duration, code int, category string) {
	o := Outcome{Expected: code == wants[scenario], Waited: sendDelay > time.Millisecond, Error: category}
	scheduled := time.Duration(seq) * 10 * time.Millisecond
	if f.setup.Workers > 0 {
		scheduled, sendDelay = scheduled+sendDelay, 0
	}
	if scheduled < f.setup.WarmUp {
		f.AddWarmUp()
		return
	}
	o.Request = measure.Request{Scenario: scenario, Status: code, Scheduled: scheduled - f.setup.WarmUp, Response: sendDelay + latency, Service: latency, SendDelay: sendDelay,
		TraceID: fmt.Sprintf("%032x", seq+1)}
	if code != 0 {
		o.Protocol = "HTTP/1.1"
	}
	if code == 429 {
		o.Protocol = "HTTP/2"
	}
	if code == 503 {
		o.RetryAfter = RetryAfter{Given: 1, Broken: 1}
	}
	if category == "other" {
		o.Detail = ` : malformed HTTP response "x"`
	}
	f.Add(o)
}

// steady is a plan with a constant rate.
func steady(rate float64, d time.Duration) schedule.Plan {
	return schedule.Plan{Stages: []schedule.Stage{{Duration: d, From: rate, To: rate}}, Arrivals: schedule.Constant}
}

func slos(t *testing.T, list ...string) []slo.Objective {
	t.Helper()
	objectives, err := slo.ParseList(strings.Join(list, ","))
	if err != nil {
		t.Fatal(err)
	}
	return objectives
}

func TestReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		s    Setup
		fill func(f *fixture)
	}{
		{"good", Setup{Plan: schedule.Plan{Stages: steady(100, 10*time.Second).Stages, Arrivals: schedule.Constant, Max: 5000}, MaxWorkers: 1024, Objectives: slos(t, "p99<250ms", "p99(get)<2ms", "good>99.9%", "failed(list)<1%"), Scenarios: []string{"get", "list", "create"}}, func(f *fixture) {
			for seq := range uint64(1000) {
				s := [...]string{"get", "get", "get", "get", "get", "get", "get", "list", "list", "create"}[seq%10]
				f.result(seq, s, time.Duration(seq%7)*10*time.Microsecond, time.Duration(1000+seq)*time.Microsecond, wants[s], "")
			}
			f.elapsed, f.peak = 9992*time.Millisecond, 3
		}},
		{"bad", Setup{Plan: steady(100, time.Second), MaxWorkers: 2, Scenarios: []string{"get", "create"}}, func(f *fixture) {
			f.result(0, "get", 0, time.Millisecond, 200, "")
			f.result(1, "get", time.Millisecond, 2*time.Millisecond, 404, "")
			f.result(2, "create", time.Second, 10*time.Second, 0, "timeout")
			f.result(3, "create", time.Second, 5*time.Millisecond, 502, "")
			f.result(4, "create", time.Second, 5*time.Millisecond, 200, "") // not 201
			f.result(5, "get", 0, time.Millisecond, 0, "connection refused")
			f.result(6, "get", 0, time.Millisecond, 0, "connection refused")
			f.result(7, "create", 0, time.Millisecond, 0, "other")
			f.AddCancelled()
			f.AddUnsent(90*time.Millisecond, "", "not sent at all")
			f.result(10, "get", 0, time.Millisecond, 503, "")
			f.result(11, "get", 0, time.Millisecond, 429, "")
			f.Report.Slowest[1].TraceID = ""
			f.elapsed, f.peak, f.over = 11*time.Second, 2, true
		}},
		{"closed", Setup{Plan: schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second}}, Max: 100}, Workers: 4, MaxWorkers: 4, Scenarios: []string{"get"}}, func(f *fixture) {
			for seq := range uint64(100) {
				f.result(seq, "get", 0, time.Duration(1000+seq)*time.Microsecond, 200, "")
				f.FirstByte.Add(time.Duration(800+seq) * time.Microsecond)
				f.Body.Add(200 * time.Microsecond)
			}
			f.Received = 1_234_567
			for i := range 4 {
				f.Opened.Add(time.Duration(i)*time.Millisecond, time.Duration(i+1)*time.Millisecond, 5*time.Millisecond)
			}
			f.elapsed, f.peak = time.Second, 4
		}},
		{"shard", Setup{Plan: schedule.Plan{Stages: []schedule.Stage{{Duration: 4 * time.Second, From: 100, To: 400}}, Arrivals: schedule.Constant, Shard: 1, Shards: 4}, WarmUp: time.Second, Retries: "honour", MaxWorkers: 8, Objectives: slos(t, "shed<1%"), Scenarios: []string{"get"}}, func(f *fixture) {
			for seq := range uint64(300) {
				code := 200
				if seq > 200 && seq%10 == 0 {
					code = 503
				}
				f.result(seq, "get", 0, time.Duration(100<<(seq%16))*time.Microsecond, code, "")
			}
			f.Report.RetryAfter.Kept, f.Report.Retries = 3, Retries{Policy: "honour", Requests: 9, Attempts: 12, Served: 4}
			f.Report.Ended = "SLO shed<1% violated"
			f.elapsed, f.peak = 3100*time.Millisecond, 3
		}},
		{"nothing", Setup{Plan: steady(100, time.Second), MaxWorkers: 2, Scenarios: []string{"get"}}, func(*fixture) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.s.Target, tt.s.RunID = "http://127.0.0.1:9070", "20260102T030405Z"
			f := &fixture{Builder: NewBuilder(tt.s)}
			tt.fill(f)
			r := f.Finish(began, f.elapsed, f.elapsed, f.peak, f.over)
			r.GC = measure.GC{Pauses: 3, Longest: 0.00008}
			if tt.name == "good" {
				r.Console, r.Traces = "http://127.0.0.1:16696", "http://127.0.0.1:16696/trace/"
				r.TailAttribution = []explain.Attribution{{Scenario: "get", Slow: 20, Typical: 20, SlowFound: 20, Found: 19, Missing: "traces incomplete or not in Jaeger", Difference: 0.182, Causes: []explain.Cause{
					{Part: explain.Part{Service: "album-store", Name: "INSERT albums", Kind: "client"}, Difference: 0.151, Low: 0.14, High: 0.16, Share: 0.83, TraceID: strings.Repeat("1a", 16)},
					{Part: explain.Part{Service: "proxy-service", Name: "overload queue", Kind: "internal"}, Difference: 0.019, Low: 0.01, High: 0.03, Share: 0.1, TraceID: strings.Repeat("2b", 16)},
					{Part: explain.Part{Service: "loadgen", Name: "send delay", Kind: "generator"}, Difference: 0.001, Low: -0.001, High: 0.002, Share: 0.005, TraceID: strings.Repeat("3c", 16)},
				}}}
			}
			written := map[string][]byte{}
			formats := map[string]func(*Report, io.Writer) error{".txt": (*Report).Write, ".json": (*Report).WriteJSON, ".md": (*Report).WriteMarkdown, ".html": (*Report).WriteHTML}
			for suffix, write := range formats {
				var got bytes.Buffer
				if err := write(r, &got); err != nil {
					t.Fatal(err)
				}
				written[suffix] = got.Bytes()
				if suffix == ".html" {
					golden.Check(t, filepath.Join("testdata", tt.name+".charts"), chartData(t, got.Bytes()))
				} else {
					golden.Check(t, filepath.Join("testdata", tt.name+suffix), got.Bytes())
				}
				if err := write(r, full{}); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("writing to a full disk = %v, want %v", err, syscall.ENOSPC)
				}
			}
			reread, file := rewritten(t, r)
			for suffix, text := range written {
				checkNumbers(t, file, suffix, text)
			}
			for suffix, want := range written {
				var got bytes.Buffer
				if err := formats[suffix](reread, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s of the files: %v\n%s, want\n%s", suffix, err, got.Bytes(), want)
				}
			}
		})
	}
}

// rewritten writes a report to files and reads it back, and checks the other files.
func rewritten(t *testing.T, r *Report) (reread *Report, file []byte) {
	t.Helper()
	dir := t.TempDir()
	f, err := NewFolder(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(r); err != nil {
		t.Fatal(err)
	}
	if reread, err = Read(dir); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(filepath.Join(dir, reportFile))
	if err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !bytes.Contains(page, []byte(r.RunID)) {
		t.Errorf("report.html: %v, %d bytes", err, len(page))
	}
	hlog, err := os.Open(filepath.Join(dir, "response.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer hlog.Close()
	log := hdrhistogram.NewHistogramLogReader(hlog)
	begin := r.StartedAt.Add(measure.Seconds(r.WarmUpTime)).UnixMilli()
	for i, v := range r.Intervals {
		h, err := log.NextIntervalHistogram()
		if err != nil || h == nil || h.TotalCount() != v.Response.Count || h.StartTimeMs() != begin+int64(1000*v.At) || h.EndTimeMs() != begin+int64(1000*(v.At+v.Seconds)) {
			t.Fatalf("interval %d of the log: %+v, %v, want %+v", i, h, err, v)
		}
	}
	if h, err := log.NextIntervalHistogram(); h != nil || err != nil {
		t.Errorf("the log has more: %v, %v", h, err)
	}
	return reread, file
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestRateActual(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		requests int
		elapsed  time.Duration
		want     float64
	}{
		{"all in time", 1000, 9990 * time.Millisecond, 100}, // not 1000 in 9.99 s
		{"all, the last one delayed", 1000, 12500 * time.Millisecond, 80},
		{"interrupted", 500, 5 * time.Second, 100},
		{"none", 0, 0, 0},
	} {
		b := NewBuilder(Setup{Plan: steady(100, 10*time.Second), MaxWorkers: 9})
		b.Report.Sent = tt.requests
		if got := b.Finish(began, tt.elapsed, tt.elapsed+time.Hour, 0, true).RateActual; got != tt.want {
			t.Errorf("%s: actual rate %v, want %v", tt.name, got, tt.want)
		}
	}
}

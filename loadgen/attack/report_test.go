package attack

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/explain"
)

var update = flag.Bool("update", false, "rewrite testdata")

// fixture feeds a collector with results as they come from vegeta.
type fixture struct {
	*collector
	elapsed time.Duration
	peak    int
	over    bool
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// result takes in a request that was sent lag after it was due, and whose answer
// ended latency later.
func (f *fixture) result(ctx context.Context, seq uint64, scenario string, lag, latency time.Duration, code uint16, err string) {
	due := began.Add(time.Duration(seq) * 10 * time.Millisecond)
	n := &note{scenario: scenarios[scenario], want: scenarios[scenario].want, due: due, span: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: byte(seq + 1), 14: byte((seq + 1) >> 8)}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})}
	if code == 503 {
		n.promises = RetryAfter{Given: 1, Broken: 1}
	}
	if err != "" && code == 0 {
		n.err = errors.New(err)
	}
	n.cutOff = ctx.Err() != nil
	n.full = lag > time.Millisecond
	if f.c.Workers > 0 {
		n.due = time.Time{}
	}
	f.add(&vegeta.Result{Seq: seq, Timestamp: due.Add(lag), Latency: latency, Code: code, Error: err}, n)
}

func testCollector(t *testing.T, c Config) *collector {
	t.Helper()
	c.MeterProvider = noop.NewMeterProvider()
	p := &pacer{began: began}
	tr := &transport{}
	var err error
	if tr.meter, err = newMeter(c, p, tr); err != nil {
		t.Fatal(err)
	}
	return newCollector(c, p, tr)
}

func slos(t *testing.T, list ...string) (slos []SLO) {
	t.Helper()
	for _, s := range list {
		slo, err := ParseSLO(s)
		if err != nil {
			t.Fatal(err)
		}
		slos = append(slos, slo)
	}
	return slos
}

func TestReport(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		c    Config
		fill func(f *fixture)
	}{
		{"good", Config{Plan: Plan{Stages: steady(100, 10*time.Second).Stages, Arrivals: Constant, Max: 5000}, MaxWorkers: 1024, SLOs: slos(t, "p99<250ms", "p99(get)<2ms", "good>99.9%", "failed(list)<1%"), Mix: Mix{"get": 70, "list": 20, "create": 10}}, func(f *fixture) {
			for seq := range uint64(1000) {
				s := [...]string{"get", "get", "get", "get", "get", "get", "get", "list", "list", "create"}[seq%10]
				code := uint16(scenarios[s].want)
				f.result(t.Context(), seq, s, time.Duration(seq%7)*10*time.Microsecond, time.Duration(1000+seq)*time.Microsecond, code, "")
			}
			f.elapsed, f.peak = 9992*time.Millisecond, 3
		}},
		{"bad", Config{Plan: steady(100, time.Second), MaxWorkers: 2, Mix: Mix{"get": 1, "create": 1, "list": 0}}, func(f *fixture) {
			refused := `dial tcp 127.0.0.1:9070: connect: connection refused`
			malformed := `malformed HTTP response "x"`
			f.result(t.Context(), 0, "get", 0, time.Millisecond, 200, "")
			f.result(t.Context(), 1, "get", time.Millisecond, 2*time.Millisecond, 404, "404 Not Found")
			f.result(t.Context(), 2, "create", time.Second, 10*time.Second, 0, "context deadline exceeded")
			f.result(t.Context(), 3, "create", time.Second, 5*time.Millisecond, 502, "502 Bad Gateway")
			f.result(t.Context(), 4, "create", time.Second, 5*time.Millisecond, 200, "") // not 201
			f.result(t.Context(), 5, "get", 0, time.Millisecond, 0, refused)
			f.result(t.Context(), 6, "get", 0, time.Millisecond, 0, refused)
			f.result(t.Context(), 7, "create", 0, time.Millisecond, 0, malformed)
			f.result(over, 8, "create", 0, time.Hour, 0, `Post "http://127.0.0.1:9070/albums": context canceled`)
			f.add(&vegeta.Result{Seq: 9, Timestamp: began.Add(90 * time.Millisecond), Error: "not sent at all"}, nil)
			f.result(t.Context(), 10, "get", 0, time.Millisecond, 503, "503 Service Unavailable")
			f.result(t.Context(), 11, "get", 0, time.Millisecond, 429, "429 Too Many Requests")
			f.report.Slowest[1].TraceID = ""
			f.elapsed, f.peak, f.over = 11*time.Second, 2, true
		}},
		{"closed", Config{Plan: Plan{Stages: []Stage{{Duration: time.Second}}, Max: 100}, Workers: 4, MaxWorkers: 4, Mix: Mix{"get": 1}}, func(f *fixture) {
			for seq := range uint64(100) {
				f.result(t.Context(), seq, "get", 0, time.Duration(1000+seq)*time.Microsecond, 200, "")
			}
			f.elapsed, f.peak = time.Second, 4
		}},
		{"shard", Config{Plan: Plan{Stages: []Stage{{Duration: 4 * time.Second, From: 100, To: 400}}, Arrivals: Constant, Shard: 1, Shards: 4}, WarmUp: time.Second, Retry: RetryHonour, MaxWorkers: 8, SLOs: slos(t, "shed<1%"), Mix: Mix{"get": 1}}, func(f *fixture) {
			for seq := range uint64(300) {
				code := uint16(200)
				if seq > 200 && seq%10 == 0 {
					code = 503
				}
				f.result(t.Context(), seq, "get", 0, time.Duration(100<<(seq%16))*time.Microsecond, code, "")
			}
			f.report.RetryAfter.Kept, f.report.Retries = 3, Retries{Requests: 9, Tries: 12, Served: 4}
			f.report.Ended = "the objective shed<1% was not met"
			f.elapsed, f.peak = 3100*time.Millisecond, 3
		}},
		{"nothing", Config{Plan: steady(100, time.Second), MaxWorkers: 2, Mix: Mix{"get": 1}}, func(*fixture) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.c.URL, tt.c.RunID = "http://127.0.0.1:9070", "20260102T030405Z"
			f := &fixture{collector: testCollector(t, tt.c)}
			tt.fill(f)
			f.tr.peak.Store(int64(f.peak))
			r := f.finish(began, f.elapsed, f.elapsed, f.over)
			r.GC = GC{Pauses: 3, Longest: 0.00008}
			if tt.name == "good" {
				r.Traces = "http://127.0.0.1:16696/trace/"
				r.Explained = []explain.Answer{{Scenario: "get", Slow: 20, Typical: 20, SlowFound: 20, Found: 19, Missing: "their traces did not come, or not completely", Difference: 0.182, Causes: []explain.Cause{
					{Part: explain.Part{Service: "album-store", Name: "INSERT albums", Kind: "client"}, Difference: 0.151, Low: 0.14, High: 0.16, Share: 0.83, TraceID: strings.Repeat("1a", 16)},
					{Part: explain.Part{Service: "proxy-service", Name: "overload queue", Kind: "internal"}, Difference: 0.019, Low: 0.01, High: 0.03, Share: 0.1, TraceID: strings.Repeat("2b", 16)},
					{Part: explain.Part{Service: "loadgen", Name: "sent late", Kind: "generator"}, Difference: 0.001, Low: -0.001, High: 0.002, Share: 0.005, TraceID: strings.Repeat("3c", 16)},
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
					golden(t, tt.name+".charts", chartData(t, got.Bytes()))
				} else {
					golden(t, tt.name+suffix, got.Bytes())
				}
				if err := write(r, full{}); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("writing to a full disk = %v, want %v", err, syscall.ENOSPC)
				}
			}
			again, file := rewritten(t, r)
			for suffix, text := range written {
				checkNumbers(t, file, suffix, text)
			}
			for suffix, want := range written {
				var got bytes.Buffer
				if err := formats[suffix](again, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s of the files: %v\n%s, want\n%s", suffix, err, got.Bytes(), want)
				}
			}
		})
	}
}

// golden compares what was written with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s, want\n%s", name, got, want)
	}
}

// rewritten returns a report as it comes out of the files that it is written to and its
// report.json, and checks those that are not reports.
func rewritten(t *testing.T, r *Report) (again *Report, file []byte) {
	t.Helper()
	dir := t.TempDir()
	f, err := NewFolder(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(r); err != nil {
		t.Fatal(err)
	}
	if again, err = ReadReport(dir); err != nil {
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
	begin := r.StartedAt.Add(seconds(r.WarmUpTime)).UnixMilli()
	for i, v := range r.Intervals {
		h, err := log.NextIntervalHistogram()
		if err != nil || h == nil || h.TotalCount() != v.Response.Count || h.StartTimeMs() != begin+int64(1000*v.At) || h.EndTimeMs() != begin+int64(1000*(v.At+v.Seconds)) {
			t.Fatalf("interval %d of the log: %+v, %v, want %+v", i, h, err, v)
		}
	}
	if h, err := log.NextIntervalHistogram(); h != nil || err != nil {
		t.Errorf("the log has more: %v, %v", h, err)
	}
	return again, file
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestReached(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		requests int
		elapsed  time.Duration
		want     float64
	}{
		{"all in time", 1000, 9990 * time.Millisecond, 100}, // not 1000 in 9.99 s
		{"all, the last sent late", 1000, 12500 * time.Millisecond, 80},
		{"interrupted", 500, 5 * time.Second, 100},
		{"none", 0, 0, 0},
	} {
		k := testCollector(t, Config{Plan: steady(100, 10*time.Second), MaxWorkers: 9})
		k.report.Sent = tt.requests
		if got := k.finish(began, tt.elapsed, tt.elapsed+time.Hour, true).Reached; got != tt.want {
			t.Errorf("%s: reached %v, want %v", tt.name, got, tt.want)
		}
	}
}

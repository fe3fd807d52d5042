package report

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
)

// shardReport returns the report of a shard: req/s per scenario for a number of seconds.
func shardReport(tb testing.TB, shard, shards, rate, seconds int, objectives ...string) *Report {
	tb.Helper()
	plan := steady(float64(3*rate*shards), time.Duration(seconds)*time.Second)
	plan.Shard, plan.Shards = uint64(shard), uint64(shards)
	s := Setup{RunID: "run", Target: "http://127.0.0.1:9070", Plan: plan, MaxWorkers: 64, Scenarios: []string{"get", "list", "create"}}
	if len(objectives) > 0 {
		t, ok := tb.(*testing.T)
		if !ok {
			tb.Fatal("objectives in a benchmark")
		}
		s.Objectives = slos(t, objectives...)
	}
	b, rng := NewBuilder(s), rand.New(rand.NewPCG(uint64(shard), 7))
	for second := range seconds {
		for i := range rate {
			for n, name := range s.Scenarios {
				at := time.Duration(second)*time.Second + time.Duration(i)*time.Second/time.Duration(rate)
				response := time.Duration(float64((n+1)*int(time.Millisecond)) * (1 + rng.ExpFloat64()))
				o := Outcome{Expected: true, Request: measure.Request{Scenario: name, Status: wants[name], Protocol: fmt.Sprintf("HTTP/%d", 2+second%2), Scheduled: at, Response: response, Service: response - 50*time.Microsecond,
					SendDelay: 50 * time.Microsecond, TTFB: response / 2, Body: response / 3, Received: uint64(10 * (i + 1)), Sent: uint64(n), TraceID: fmt.Sprintf("%016x%08x%08x", shard, second, 3*i+n)}}
				switch rng.IntN(200) {
				case 0:
					o.Expected, o.Status = false, 503
				case 1:
					o.Expected, o.Status = false, 500
				}
				b.Add(o)
			}
		}
	}
	for i := range 3 + shard {
		ms := time.Duration(i+1) * time.Millisecond
		b.Opened.Add(ms, 2*ms, 3*ms)
	}
	return b.Finish(began, time.Duration(seconds)*time.Second, time.Duration(seconds)*time.Second, 5, false)
}

// sent returns a report as another process gets it.
func sent(tb testing.TB, r *Report) *Report {
	tb.Helper()
	b, err := EncodePart(r)
	if err != nil {
		tb.Fatal(err)
	}
	if r, err = DecodePart(b); err != nil {
		tb.Fatal(err)
	}
	return r
}

// A part that is encoded and decoded is the same report, and has the same histograms.
func TestPart(t *testing.T) {
	t.Parallel()
	r := shardReport(t, 1, 3, 50, 4, "p99<1s", "good(get)>90%")
	r.Retries = Retries{Policy: "naive", Requests: 3, Attempts: 4}
	got := sent(t, r)
	for name, times := range r.times {
		if g := got.Times(name); !g.HDR().Equals(times.HDR()) || g.Summary() != times.Summary() {
			t.Errorf("%s: %+v, want %+v, equal in each bucket", name, g.Summary(), times.Summary())
		}
	}
	want := *r
	want.Groups, want.times, got.packed = nil, nil, nil
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("decoded %+v, want %+v", *got, want)
	}
	for in, want := range map[string]string{"{": "decode the report of a worker: ", `{"version":9}`: "report of a worker has version 9, want 1", `{"version":1,"status_response_time":{"1000":{}}}`: "report of a worker has the HTTP status 1000"} {
		if _, err := DecodePart([]byte(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("DecodePart(%s) = %v, want %s", in, err, want)
		}
	}
}

// The merged histograms are the sums of the parts' in each bucket, those of the scenarios too.
func TestMerger(t *testing.T) {
	t.Parallel()
	const shards = 5
	m, sums := NewMerger(), map[string]*measure.Times{}
	intervals := &measure.Intervals{}
	var slowest []time.Duration
	for i := range shards {
		r := shardReport(t, i, shards, 30, 4, "p99<1s", "p99(get)<1s", "p50(create)<1ms")
		for name, times := range r.times {
			if sums[name] == nil {
				sums[name] = measure.NewTimes()
			}
			sums[name].Merge(times)
		}
		part, err := measured(r.Intervals)
		if err != nil {
			t.Fatal(err)
		}
		intervals.Merge(part)
		for _, g := range r.Candidates {
			if g.Scenario == "list" {
				for _, q := range g.Slow {
					slowest = append(slowest, q.Response)
				}
			}
		}
		r = sent(t, r)
		if err := m.Add(r); err != nil {
			t.Fatal(err)
		}
		if err := m.Add(r); err == nil || err.Error() != fmt.Sprintf("duplicate run run, shard %d/%d", i+1, shards) {
			t.Errorf("the same report again: %v", err)
		}
		r.Shard, r.Histograms["shed"] = "9/9", measure.Histogram{Encoded: "x"}
		if err := m.Add(r); err == nil || !strings.HasPrefix(err.Error(), "run: shed: decode histogram: ") {
			t.Errorf("a broken report: %v", err)
		}
	}
	var asked []string
	m.Intervals = func(scenario string) []*measure.Interval {
		asked = append(asked, scenario)
		return nil
	}
	r, err := m.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if len(sums) != 23 || len(r.times) != len(sums) {
		t.Errorf("%d histograms of %d, want 23", len(r.times), len(sums))
	}
	// 4 seconds of 30 requests of 3 scenarios: 10 to 300 bytes received, 0 to 2 sent; 3 to 7 connections.
	if received, sent := uint64(shards*4*3*10*30*31/2), uint64(shards*4*30*3); r.BytesReceived != received || r.BytesSent != sent || r.Opened != 3+4+5+6+7 || r.FirstByte.Count != shards*4*30*3 {
		t.Errorf("%d bytes received, want %d; %d sent, want %d; %d connections; %d times to first byte", r.BytesReceived, received, r.BytesSent, sent, r.Opened, r.FirstByte.Count)
	}
	if want := map[string]int{"HTTP/2": shards * 2 * 90, "HTTP/3": shards * 2 * 90}; !maps.Equal(r.Protocols, want) || len(r.Statuses) != 4 || r.Statuses[503] != r.Shed {
		t.Errorf("protocols %v, want %v; by status %+v, shed %+v", r.Protocols, want, r.Statuses, r.Shed)
	}
	for name, want := range sums {
		if got := r.times[name]; !got.HDR().Equals(want.HDR()) || got.Summary() != want.Summary() {
			t.Errorf("%s: %+v, want %+v, equal in each bucket", name, got.Summary(), want.Summary())
		}
	}
	for i, want := range intervals.List {
		h, err := r.Intervals[i].Decode()
		if err != nil || !slices.Equal(buckets(h), buckets(want.Served)) || r.Intervals[i].Response != want.Summary() {
			t.Errorf("interval %d: %+v, %v, want %+v", i, r.Intervals[i].Response, err, want.Summary())
		}
	}
	if r.RunID != "run" || len(r.Invalid) != 0 || r.Sent != 4*3*150 || !slices.Equal(asked, []string{"get", "create"}) {
		t.Errorf("merged: run %s, invalid %q, %d sent, intervals of %v asked", r.RunID, r.Invalid, r.Sent, asked)
	}
	slices.Sort(slowest)
	slices.Reverse(slowest)
	if len(r.Groups) != 3 || r.Groups[2].Scenario != "list" || len(r.Groups[2].Typical) != 20 {
		t.Fatalf("groups: %+v", r.Groups)
	}
	median := sums["response/list"].Quantile(0.5)
	for i, q := range r.Groups[2].Slow {
		if q.Response != slowest[i] {
			t.Errorf("slow %d: %s, want %s", i, q.Response, slowest[i])
		}
	}
	for _, q := range r.Groups[2].Typical {
		if (q.Response - median).Abs() > median/20 {
			t.Errorf("%s is typical, the median is %s", q.Response, median)
		}
	}
}

func buckets(h interface {
	ForEachBucket(func(value, n int64) bool)
}) (list [][2]int64) {
	h.ForEachBucket(func(value, n int64) bool {
		list = append(list, [2]int64{value, n})
		return true
	})
	return list
}

// Workers with too few requests for groups of their own have one together.
func TestMergerGroupOfFew(t *testing.T) {
	t.Parallel()
	m := NewMerger()
	for i := range 8 {
		r := shardReport(t, i, 8, 5, 1)
		if len(r.Groups) != 0 {
			t.Fatalf("groups of %d requests: %+v", r.Sent, r.Groups)
		}
		if err := m.Add(sent(t, r)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := m.Finish()
	if err != nil || len(r.Groups) != 3 {
		t.Fatalf("%d groups, %v, want 3", len(r.Groups), err)
	}
	for _, g := range r.Groups {
		n := int(r.Times("response/"+g.Scenario).Count()) / 4
		if len(g.Slow) != n || len(g.Typical) != n {
			t.Errorf("%s: %d slow, %d typical, want %d", g.Scenario, len(g.Slow), len(g.Typical), n)
		}
	}
}

// A report with impossible intervals is rejected, before it is merged.
func TestMergerRejectsIntervals(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Report){
		"no width":   func(r *Report) { r.Intervals[0].Seconds = 0 },
		"two widths": func(r *Report) { r.Intervals[1].Seconds = 3 },
		"too wide":   func(r *Report) { r.Intervals[0].Seconds, r.Intervals[1].Seconds = 1e9, 1e9 },
		"too many":   func(r *Report) { r.Intervals = slices.Repeat(r.Intervals, 301) },
	} {
		r := shardReport(t, 0, 1, 5, 2)
		change(r)
		if err := r.encodeHistograms(); err != nil {
			t.Fatal(err)
		}
		m := NewMerger()
		if err := m.Add(r); err == nil || m.r != nil {
			t.Errorf("%s: %v, merged %v", name, err, m.r)
		}
		part, err := EncodePart(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePart(part); err == nil {
			t.Errorf("%s: the part is decoded", name)
		}
	}
}

// BenchmarkMerge1000 decodes 1,000 parts of 60 s with 300 req/s each on all cores, and merges
// them.
func BenchmarkMerge1000(b *testing.B) {
	const parts = 1000
	var encoded [][]byte
	for i := range 10 {
		part, err := EncodePart(shardReport(b, i, parts, 100, 60))
		if err != nil {
			b.Fatal(err)
		}
		encoded = append(encoded, part)
	}
	peak := uint64(0)
	for b.Loop() {
		var next atomic.Int64
		var wg sync.WaitGroup
		decoded := make(chan *Report)
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for i := int(next.Add(1)); i <= parts; i = int(next.Add(1)) {
					r, err := DecodePart(encoded[i%len(encoded)])
					if err != nil {
						b.Error(err)
						return
					}
					r.Shard = fmt.Sprintf("%d/%d", i, parts)
					decoded <- r
				}
			})
		}
		go func() {
			wg.Wait()
			close(decoded)
		}()
		m := NewMerger()
		for r := range decoded {
			if err := m.Add(r); err != nil {
				b.Fatal(err)
			}
			if len(m.runs)%50 == 0 {
				peak = max(peak, memory())
			}
		}
		if r, err := m.Finish(); err != nil || r.Sent != parts*18_000 || len(r.Invalid) > 0 {
			b.Fatal(r, err)
		}
		peak = max(peak, memory())
	}
	b.ReportMetric(float64(len(encoded[0]))/1024, "KiB/part")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// memory returns the memory that the process has from the operating system.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

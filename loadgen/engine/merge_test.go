package engine

import (
	"encoding/json"
	"maps"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// written returns a report as read from a file.
func written(t *testing.T, r *report.Report) *report.Report {
	t.Helper()
	dir := t.TempDir() + "/run"
	f, err := report.NewFolder(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(r); err != nil {
		t.Fatal(err)
	}
	if r, err = report.Read(dir); err != nil {
		t.Fatal(err)
	}
	return r
}

// Three shards send the same requests as one process. Their merged histograms have each request.
func TestShardsAndMerge(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(albums())
	defer server.Close()
	start := time.Now().Add(300 * time.Millisecond)
	reports := make([]*report.Report, 3)
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() {
			c := testConfig(server.URL, tracetest.NewSpanRecorder())
			c.RunID = string(rune('a' + i))
			c.Plan, c.StartAt = steady(200, time.Second), start
			c.Plan.Shard, c.Plan.Shards = uint64(i), 3
			c.SLOs = slos(t, "good>99%", "p50(get)<10s")
			r, err := Run(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			reports[i] = written(t, r)
			if !r.StartedAt.Equal(start) || r.Planned != []uint64{67, 67, 66}[i] || math.Abs(r.RateTarget-200.0/3) > 1e-9 {
				t.Errorf("shard %d began at %s, %d planned, target rate %g/s", i, r.StartedAt, r.Planned, r.RateTarget)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	m, err := report.Merge(reports)
	if err != nil {
		t.Fatal(err)
	}
	if m.Sent != 200 || m.Planned != 200 || m.Classes[measure.Good] != 200 || math.Abs(m.RateTarget-200) > 1e-9 || m.RunID != "a b c" || len(m.Slowest) != 5 || m.Violated() != 0 || len(m.SLOs) != 2 {
		t.Errorf("merged: %+v", m)
	}
	counts := map[string]int{}
	for _, row := range m.Scenarios {
		counts[row.Name] = row.Requests
	}
	if want := (map[string]int{"get": 140, "list": 40, "create": 20}); !maps.Equal(counts, want) {
		t.Errorf("scenarios %v, want %v", counts, want)
	}
	// Percentiles are those of one histogram of all requests.
	want, longest := measure.NewTimes(), 0.0
	for _, r := range reports {
		for _, bar := range r.Times("response").HDR().Distribution() {
			if err := want.HDR().RecordValues(bar.From, bar.Count); err != nil {
				t.Fatal(err)
			}
		}
		longest = max(longest, r.Response.Max)
	}
	h, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h.Longest = longest
	if want, err = h.Decode(); err != nil {
		t.Fatal(err)
	}
	if m.Response != want.Summary() {
		t.Errorf("response times %+v, want %+v", m.Response, want.Summary())
	}
	sum := 0
	for _, i := range m.Intervals {
		sum += i.Classes[measure.Good]
		if math.Abs(i.RateTarget-200) > 1e-6 {
			t.Errorf("interval at %g: target rate %g/s, want 200", i.At, i.RateTarget)
		}
	}
	if sum != 200 {
		t.Errorf("%d requests in intervals, want 200", sum)
	}
	if reread := written(t, m); reread.Response != m.Response || reread.Sent != 200 {
		t.Errorf("merged, written and read: %+v", reread)
	}

	for name, tt := range map[string]struct {
		change func(list []*report.Report) []*report.Report
		err    string
		reason string
	}{
		"one is missing":     {func(l []*report.Report) []*report.Report { return l[:2] }, "", "1 of 3 shards missing"},
		"twice the same":     {func(l []*report.Report) []*report.Report { return append(l, l[0]) }, "duplicate run a", ""},
		"a shard twice":      {func(l []*report.Report) []*report.Report { l[1].Shard = "1/3"; return l }, "duplicate shard: 1/3, 1/3, 3/3", ""},
		"parts of two plans": {func(l []*report.Report) []*report.Report { l[1].Shard = ""; return l }, "not shards of one plan: 1/3, , 3/3", ""},
		"other plans":        {func(l []*report.Report) []*report.Report { l[2].Seed = 7; return l }, "a and c have different plans: open 1s@200 constant seed 1, and open 1s@200 constant seed 7", ""},
		"too late": {func(l []*report.Report) []*report.Report {
			l[2].StartedAt = l[2].StartedAt.Add(2 * time.Second)
			return l
		},
			"", "3/3 started 2s after the first: use the same -start-at"},
		"no histograms": {func(l []*report.Report) []*report.Report { l[2].Histograms = nil; return l }, "c: no histograms in the file", ""},
		"broken": {func(l []*report.Report) []*report.Report {
			l[2].Histograms["send_delay"] = measure.Histogram{Encoded: "x"}
			return l
		}, "c: send_delay: decode histogram: ", ""},
		"an invalid one": {func(l []*report.Report) []*report.Report { l[1].Invalid = []string{"it was late"}; return l }, "", "2/3: it was late"},
		"none":           {func([]*report.Report) []*report.Report { return nil }, "no report", ""},
	} {
		var list []*report.Report
		for _, r := range reports {
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			c := new(report.Report)
			if err := json.Unmarshal(b, c); err != nil {
				t.Fatal(err)
			}
			c.Invalid = nil // a busy machine's
			list = append(list, c)
		}
		m, err := report.Merge(tt.change(list))
		switch {
		case tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %s", name, err, tt.err)
		case tt.err == "" && (err != nil || !slices.Equal(m.Invalid, []string{tt.reason})):
			t.Errorf("%s: %v, %v, want %s", name, m, err, tt.reason)
		}
	}
}

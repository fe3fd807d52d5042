package remote

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/internal/albumhttp"
	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/targets"
	"soundcheck/loadgen/workload"
)

// A worker makes the same configuration of what the coordinator sends, with its shard.
func TestRemote(t *testing.T) {
	t.Parallel()
	mix, err := workload.ParseMix("get=2,create=1")
	if err != nil {
		t.Fatal(err)
	}
	slos, err := slo.ParseList("p99<100ms,p50(get)<20ms,good>99.9%")
	if err != nil {
		t.Fatal(err)
	}
	stages, err := schedule.ParseStages("10s@0..200,30s@200")
	if err != nil {
		t.Fatal(err)
	}
	expect := workload.Expectations{}
	for _, s := range []string{"200,404", "get=2xx"} {
		if err := expect.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	values := &targets.Data{Name: "f", Columns: []string{"a"}, Rows: [][]targets.Value{{{Text: "b"}}, {{Text: "1", Literal: true}}}}
	c := engine.Config{RunID: "run", URL: "http://x", Plan: schedule.Plan{Stages: stages, Arrivals: schedule.Poisson, Max: 7}, Timeout: time.Second, MaxWorkers: 9,
		Workload: workload.Workload{Mix: mix, Targets: []vegeta.Target{{Method: "PUT", URL: "http://y", Body: []byte{0, 255}, Header: http.Header{"A": {"b", "c"}}}},
			Data: values, Header: http.Header{"A": {"b", "c"}}, Expect: expect, EachOnce: true},
		Seed: 1 << 63, SLOs: slos, Retry: retry.Honour, TraceSample: 0.25, WarmUp: time.Second, Before: 11,
		Connect: connect.Options{Version: connect.H2C, Resolve: []string{"a:1:127.0.0.1"}, Redirects: 3, CACert: "PEM"}}
	b, err := json.Marshal(Of(c))
	if err != nil {
		t.Fatal(err)
	}
	var r Run
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		worker, workers int
		name            string
		shard, shards   uint64
	}{{0, 1, "0", 0, 0}, {2, 3, "2", 2, 3}} {
		got, err := r.Config("run", tt.worker, tt.workers)
		want := c
		want.Worker, want.Parts, want.Plan.Shard, want.Plan.Shards = tt.name, true, tt.shard, tt.shards
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("worker %d of %d: %v\n%+v\nwant\n%+v", tt.worker, tt.workers, err, got, want)
		}
	}
	d, err := contract.Parse("albums.yaml", albumhttp.Contract)
	if err != nil {
		t.Fatal(err)
	}
	c.Contract, c.Invalid = d, 0.25
	if got, err := Of(c).Config("run", 0, 1); err != nil || got.Contract.Name != "albums.yaml" || !slices.Equal(got.Contract.Names(), d.Names()) || got.Invalid != 0.25 {
		t.Errorf("%+v, %v, want the contract", got.Contract, err)
	}
	dir := t.TempDir()
	err = os.WriteFile(filepath.Join(dir, "buy.yaml"), []byte("data: rows.csv\nsteps:\n  - {name: a, get: \"/{{row}}\"}\n"), 0o600)
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "rows.csv"), []byte("row\n1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := flow.Read(filepath.Join(dir, "buy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.Workload, c.Workers, c.Think = workload.Workload{Flow: f}, 8, &flow.Think{To: time.Second}
	c.Users = []schedule.Stage{{Duration: time.Second, From: 1, To: 7.5}}
	if b, err := json.Marshal(Of(c)); err != nil || strings.Contains(string(b), dir) || !strings.Contains(string(b), `"buy.yaml"`) {
		t.Errorf("%v, workers get %s, want the flow without its folder", err, b)
	}
	sum := 0
	for i := range 3 {
		got, err := Of(c).Config("run", i, 3)
		if err != nil || got.Flow.Name != "buy" || got.Flow.Source != nil || len(got.Flow.Steps) != 1 || *got.Think != *c.Think || !slices.Equal(got.Users, c.Users) || got.MaxWorkers != got.Workers {
			t.Errorf("worker %d: %v, %+v", i, err, got)
		}
		sum += got.Workers
	}
	if sum != 8 {
		t.Errorf("the workers have %d users at once, want 8", sum)
	}
	if _, err := Of(c).Config("run", 8, 9); err == nil || err.Error() != "-users: 8 at once is fewer than the 9 workers, each with a user of its own" {
		t.Errorf("error %v of a worker without users", err)
	}
	if _, err := (Run{Remote: workload.Remote{Flow: &flow.Source{File: "a.yaml", Text: []byte("a: 1")}}}).Config("run", 0, 1); err == nil {
		t.Error("no error of an invalid flow")
	}
	if _, err := (Run{Remote: workload.Remote{OpenAPI: []byte("a"), OpenAPIFile: "b"}}).Config("run", 0, 1); err == nil {
		t.Error("no error of an invalid contract")
	}
	r.SLOs = append(r.SLOs, "p99")
	if _, err := r.Config("run", 0, 1); err == nil {
		t.Error("no error of an invalid SLO")
	}
}

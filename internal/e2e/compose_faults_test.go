package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// away is how long something is away; cutFor how long a network is cut.
const (
	away   = 30 * time.Second
	cutFor = 10 * time.Second
)

// load runs loadgen in the background. What it returns ends it, if it still runs, and
// returns its report.
func (c *composed) load(t *testing.T, args string) (wait func(interrupt bool) report.Report) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.bin, "loadgen"), append(strings.Fields(args), "-url", c.Proxy(), "-explain=false", "-keep", "", "-format", "json", "-quiet")...)
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT="+c.OTLP())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func(interrupt bool) (r report.Report) {
		t.Helper()
		if interrupt {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Errorf("loadgen %s ended before: %v", args, err)
			}
		}
		err := cmd.Wait() // what its exit code tells is in the report
		if e := json.Unmarshal(out.Bytes(), &r); e != nil {
			t.Fatalf("loadgen %s: %v, %v\n%s%s", args, err, e, &out, &errs)
		}
		t.Logf("loadgen %s: %d sent, %v", args, r.Sent, r.Classes)
		return r
	}
}

// lacking looks up each request of a run, and returns how many spans of a service are
// missing in all, and how many traces have all of them.
func (c *composed) lacking(t *testing.T, r report.Report, services ...string) (missing map[string]int, complete int, err error) {
	ids := engine.NewIDs(r.RunID)
	missing = map[string]int{}
	for n := range r.Sent {
		s, err := c.trace(t.Context(), ids.Trace(uint64(n)).String())
		if err != nil {
			return nil, 0, err
		}
		lacks := 0
		for _, service := range services {
			missing[service] += s.lacks(service)
			lacks += s.lacks(service)
		}
		if lacks == 0 {
			complete++
		}
	}
	return missing, complete, nil
}

// queue has Jaeger away, and the Collector restart meanwhile: what the programs sent is all
// there in the end. Networks are cut meanwhile.
func (c *composed) queue(t *testing.T) {
	c.compose(t, "stop", "jaeger")
	since := time.Now()
	wait := c.load(t, "-rate 30 -duration 8s")
	c.compose(t, "restart", "otel-collector")
	r := wait(false)
	if r.Classes[measure.Failed]+r.Classes[measure.Shed] > 0 {
		t.Errorf("without Jaeger: %v", r.Classes)
	}
	t.Run("cut between proxy and stores", func(t *testing.T) {
		c.cut(t, []string{"proxy-service"}, []string{"album-store-1", "album-store-2"})
	})
	t.Run("cut between stores and database", func(t *testing.T) {
		c.cut(t, []string{"album-store-1", "album-store-2"}, []string{"postgres"})
	})
	time.Sleep(away - time.Since(since))
	c.compose(t, "start", "jaeger")
	eventually(t, fmt.Sprintf("all traces of %d requests", r.Sent), func() error {
		missing, complete, err := c.lacking(t, r, "proxy-service", "album-store")
		if err != nil || complete != r.Sent {
			return fmt.Errorf("%d are complete, missing are %v, %v", complete, missing, err)
		}
		return nil
	})
	c.wantTraces(t)
}

// address returns that of a service's container.
func (c *composed) address(t *testing.T, service string) string {
	t.Helper()
	for _, n := range c.inspect(t, service).NetworkSettings.Networks {
		if n.IPAddress != "" {
			return n.IPAddress
		}
	}
	t.Fatalf("%s has no address", service)
	return ""
}

// cut cuts the network between containers while albums are created. Meanwhile each answer
// says what is wrong, and when to come again; afterwards all is well, and no album was lost.
func (c *composed) cut(t *testing.T, from, to []string) {
	albums := c.fill(t, "-n 600 -rate 100 -concurrency 8")
	var routes [][]string
	for _, f := range from {
		pid := fmt.Sprint(c.inspect(t, f).State.Pid)
		for _, a := range to {
			routes = append(routes, []string{"-t", pid, "-n", "ip", "route", "VERB", "blackhole", c.address(t, a)})
		}
	}
	all := func(verb string) {
		for _, r := range routes {
			r = slices.Clone(r)
			r[5] = verb
			command(t, exec.Command("nsenter", r...))
		}
	}
	all("add")
	albums.mustRun(t)
	cut := true
	heal := func() {
		if cut {
			cut = false
			all("del")
		}
	}
	defer heal()
	problems := map[string]int{}
	for begun := time.Now(); time.Since(begun) < cutFor; time.Sleep(50 * time.Millisecond) {
		r := ask(t, http.MethodGet, c.Proxy()+"/albums/1", "")
		problems[fmt.Sprint(r.status, " ", r.problem)]++
		switch {
		case r.err != nil:
			t.Errorf("no answer: %v", r.err)
		case !slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, r.status) || r.problem == "":
			t.Errorf("answered %d %q while cut\n%s", r.status, r.problem, r.body)
		case r.status == http.StatusServiceUnavailable && r.retryAfter == "":
			t.Errorf("503 %s without Retry-After", r.problem)
		case r.took > 25*time.Second: // -store-timeout is 10 s; a call without it ends after 30 s
			t.Errorf("answered %d after %s", r.status, r.took)
		}
	}
	t.Logf("answers while cut: %v", problems)
	heal()
	eventually(t, "answers", func() error {
		for range 20 {
			if r := ask(t, http.MethodGet, c.Proxy()+"/albums/1", ""); r.status != http.StatusOK {
				return fmt.Errorf("%+v", r)
			}
		}
		return nil
	})
	albums.wait(t)
}

// lost is how many spans the services say that they could not deliver.
func (c *composed) lost(t *testing.T) map[string]float64 {
	t.Helper()
	return c.query(t, `sum by (service_name) (max_over_time({__name__=~"otel_sdk_processor_span_processed_total|otel_sdk_exporter_span_exported_total",error_type!=""}[10m]))`)
}

// collectorAway has the Collector away for longer than programs hold their telemetry. No
// caller notices. When it is back, each span of the requests was stored, or counted as
// lost by the program that made it.
func (c *composed) collectorAway(t *testing.T) {
	before := c.lost(t)
	wait := c.load(t, "-rate 20 -duration 5m")
	c.compose(t, "stop", "otel-collector")
	time.Sleep(away)
	c.compose(t, "start", "otel-collector")
	c.wantTraces(t) // telemetry flows again
	r := wait(true)
	if r.Classes[measure.Failed]+r.Classes[measure.Shed] > 0 {
		t.Errorf("without the Collector: %v", r.Classes)
	}
	var missing map[string]int
	var complete int
	eventually(t, "each span is stored or counted as lost", func() (err error) {
		if missing, complete, err = c.lacking(t, r, "proxy-service", "album-store"); err != nil {
			return err
		}
		lost := c.lost(t)
		for service, n := range missing {
			if counted := lost[service] - before[service]; float64(n) > counted {
				err = errors.Join(err, fmt.Errorf("%d spans of %s are missing, %v were counted as lost", n, service, counted))
			}
		}
		return err
	})
	t.Logf("%d of %d traces are complete, missing are %v", complete, r.Sent, missing)
	if complete == 0 || complete == r.Sent {
		t.Errorf("%d of %d traces are complete; it was away for too long, or not long enough to tell", complete, r.Sent)
	}
	c.wantTraces(t)
}

// replace replaces one store after the other under load. No request fails, and none is shed
// because of the replacement. A slow machine may shed for want of capacity: so the load is
// half of what the lab can do here with few requests in flight, and half of that again as
// long as any is shed.
func (c *composed) replace(t *testing.T) {
	most := c.load(t, "-rate 0 -workers 8 -duration 10s")(false)
	if most.Classes[measure.Failed] > 0 || most.Goodput == 0 {
		t.Fatalf("before the replacement: %v, %.1f/s, %v %s", most.Classes, most.Goodput, most.Errors, most.FirstError)
	}
	rate := min(most.Goodput/2, 200)
	const attempts = 5
	for attempt := 1; ; attempt++ {
		before, lost := c.shed(t), c.upstreamShed(t)
		wait := c.load(t, fmt.Sprintf("-rate %.2f -duration 1h", rate))
		for _, service := range []string{"album-store-1", "album-store-2"} {
			before := c.inspect(t, service)
			c.compose(t, "up", "--detach", "--no-deps", "--force-recreate", "--wait", service)
			if now := c.inspect(t, service); now.ID == before.ID || !now.healthy() {
				t.Errorf("%s was not replaced: %+v after %+v", service, now, before)
			}
		}
		r := wait(true)
		failed, shed := r.Classes[measure.Failed], r.Classes[measure.Shed]
		t.Logf("attempt %d, at %.1f/s of %.1f/s: %d sent, %d failed, %d shed", attempt, rate, most.Goodput, r.Sent, failed, shed)
		if failed > 0 || r.RetryAfter.Given != shed {
			t.Errorf("%d of %d requests failed, %d of %d that were shed have Retry-After: %v %s", failed, r.Sent, r.RetryAfter.Given, shed, r.Errors, r.FirstError)
		}
		if shed > 0 {
			// The circuit breaker and the retry budget also respond with 503, and a request that
			// the proxy retried may be counted more than once as overload.
			eventually(t, "the requests that were shed are counted as overload", func() error {
				if n := c.shed(t) - before; float64(shed) > n {
					return fmt.Errorf("%d were shed, %v for want of capacity", shed, n)
				}
				return nil
			})
			if n := c.upstreamShed(t) - lost; n > 0 {
				t.Errorf("%v of %d requests were lost to an open circuit breaker or an exhausted retry budget", n, r.Sent)
			}
		}
		if shed == 0 || t.Failed() {
			break
		}
		if attempt == attempts {
			t.Errorf("%d of %d requests were shed at %.1f/s, though the lab can do %.1f/s", shed, r.Sent, rate, most.Goodput)
			break
		}
		rate /= 2
	}
	c.wantTraces(t)
}

// shed is how many requests the services say that they shed for want of capacity: at their
// own gates, or because a store sent a 503. A store does that at its gate, too, and when a
// statement takes longer than the proxy waits.
func (c *composed) shed(t *testing.T) float64 {
	t.Helper()
	return c.total(t, `soundcheck_overload_decisions_total{soundcheck_overload_decision=~"queue_full|queue_timeout|deadline_exceeded"}`) +
		c.total(t, `soundcheck_upstream_shed_total{soundcheck_shed_reason="store"}`)
}

// upstreamShed is how many requests the proxy shed because of the stores: not for want of
// capacity, but because a circuit breaker was open or the retry budget was exhausted.
func (c *composed) upstreamShed(t *testing.T) float64 {
	t.Helper()
	return c.total(t, `soundcheck_upstream_shed_total{soundcheck_shed_reason=~"breaker_open|retry_budget"}`)
}

// total is what all processes have counted, those that have ended too.
func (c *composed) total(t *testing.T, counter string) (n float64) {
	t.Helper()
	for _, v := range c.query(t, "sum(max_over_time("+counter+"[1h]))") {
		n += v
	}
	return n
}

// flood sends more than can be served. No container takes more memory than it may.
func (c *composed) flood(t *testing.T) {
	before := map[string]container{}
	for _, service := range c.p.Services() {
		before[service] = c.inspect(t, service)
	}
	for service, was := range before {
		if was.HostConfig.Memory == 0 {
			t.Errorf("%s may take any amount of memory", service)
		}
	}
	c.load(t, "-rate 5000 -duration 5s")(false)
	for service, was := range before {
		eventually(t, service+" is well", func() error {
			now := c.inspect(t, service)
			if now.State.OOMKilled || now.RestartCount != was.RestartCount || now.ID != was.ID {
				t.Fatalf("%s: %d restarts after %d, %+v", service, now.RestartCount, was.RestartCount, now.State)
			}
			if !now.healthy() {
				return fmt.Errorf("%+v", now.State)
			}
			return nil
		})
	}
	c.wantTraces(t)
}

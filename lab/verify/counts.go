package verify

import (
	"context"
	"fmt"
	"maps"
	"math"
	"time"
)

const (
	countTolerance    = 0.01
	quantileTolerance = 0.10
)

// apart returns the difference of two numbers, as a share of the larger one.
func apart(a, b float64) float64 {
	if a == b {
		return 0
	}
	return math.Abs(a-b) / max(math.Abs(a), math.Abs(b))
}

// counts compares the counts of Prometheus, Jaeger and loadgen.
func (s *session) counts(ctx context.Context) []Check {
	return []Check{s.runCount(ctx), s.serviceCount(ctx, proxyService), s.serviceCount(ctx, storeService), s.quantile(ctx)}
}

// ofRun selects a metric of loadgen for this run.
func (s *session) ofRun(metric string) string {
	return fmt.Sprintf("%s{soundcheck_loadgen_run=%q}", metric, s.load.RunID)
}

// runCount compares the requests of the run: in loadgen's report, as traces and as
// observations of its metric.
func (s *session) runCount(ctx context.Context) Check {
	sent, traces, counted := float64(s.load.Report.Sent), float64(len(s.found.requests)), 0.0
	wrong := s.eventually(ctx, func(wrong *problems) error {
		if apart(traces, sent) > countTolerance {
			wrong.add("Jaeger has %.0f traces, loadgen sent %.0f requests: %.1f%% apart", traces, sent, 100*apart(traces, sent))
		}
		n, ok, err := s.prom.one(ctx, fmt.Sprintf("sum(histogram_count(%s))", s.ofRun("soundcheck_loadgen_response_time_seconds")))
		counted = n
		switch {
		case err != nil:
			return err
		case !ok:
			wrong.add("Prometheus has no series of run %s", s.load.RunID)
		case apart(n, sent) > countTolerance:
			wrong.add("Prometheus counted %.0f requests, loadgen %.0f: %.1f%% apart", n, sent, 100*apart(n, sent))
		}
		return nil
	})
	e := s.load.Report.Elapsed
	return verdict("rate: loadgen", wrong, "loadgen %.2f/s, Prometheus %.2f/s, Jaeger %.2f/s", sent/e, counted/e, traces/e)
}

// instance is what one process counted.
type instance struct {
	count    float64
	from, to time.Time // of the samples
}

// increase returns the increase of each process's request count from before the load to
// after it. False: some of it is not exported yet.
func (s *session) increase(ctx context.Context, service string) (map[string]instance, bool, error) {
	const before = time.Minute
	expr := fmt.Sprintf("http_server_request_duration_seconds{service_name=%q}[%ds]", service, int((time.Since(s.load.Begin) + before).Seconds()))
	list, err := s.prom.query(ctx, expr)
	if err != nil {
		return nil, false, err
	}
	// All series of a process have samples at the same times.
	byInstance := map[string][]series{}
	for _, r := range list {
		byInstance[r.labels["instance"]] = append(byInstance[r.labels["instance"]], r)
	}
	found, settled := map[string]instance{}, false
	for id, group := range byInstance {
		var in instance
		for _, r := range group {
			for _, v := range r.samples {
				if v.value == 0 {
					continue // the zero that Prometheus adds at a series' start: not an export
				}
				if v.at.Before(s.load.Begin) && v.at.After(in.from) {
					in.from = v.at
				}
				if v.at.After(s.load.End) && (in.to.IsZero() || v.at.Before(in.to)) {
					in.to = v.at
				}
			}
		}
		if in.to.IsZero() {
			continue // it has exited, or not exported yet
		}
		settled = true
		for _, r := range group {
			in.count += r.valueAt(in.to) - r.valueAt(in.from)
		}
		found[id] = in
	}
	return found, settled, nil
}

// serviceCount compares the requests that a service counted with its server spans, of the
// load and of others.
func (s *session) serviceCount(ctx context.Context, service string) Check {
	name := "rate: " + service
	own := map[string]bool{}
	for _, t := range s.found.all() {
		for _, sp := range t {
			if sp.is(service, "server") {
				own[sp.SpanID] = true
			}
		}
	}
	var counted, spans float64
	wrong := s.eventually(ctx, func(*problems) error {
		counted, spans = 0, float64(len(own))
		found, settled, err := s.increase(ctx, service)
		if err != nil || !settled {
			return fmt.Errorf("Prometheus has no sample after the load: %v", err)
		}
		for _, in := range found {
			counted += in.count
		}
		if apart(counted, spans) > countTolerance {
			seen, err := s.spansBetween(ctx, service, found)
			if err != nil {
				return err
			}
			maps.Copy(seen, own)
			spans = float64(len(seen))
		}
		if apart(counted, spans) > countTolerance {
			return fmt.Errorf("Prometheus counted %.0f requests from before the load to after it, Jaeger has %.0f server spans: %.1f%% apart", counted, spans, 100*apart(counted, spans))
		}
		return nil
	})
	if len(own) == 0 {
		wrong.add("no span belongs to the load")
	}
	return single(name, wrong, "Prometheus counted %.0f requests, Jaeger has %.0f server spans: %d of the load, %.0f of other clients", counted, spans, len(own), spans-float64(len(own)))
}

// slice is the time range of a search, and slow how long before its end a request may
// have started.
const (
	slice      = 2 * time.Second
	slow       = 10 * time.Second
	sliceLimit = 5000
)

// spansBetween returns the server spans that ended between the samples of their processes.
func (s *session) spansBetween(ctx context.Context, service string, found map[string]instance) (map[string]bool, error) {
	var from, to time.Time
	for _, in := range found {
		begin := in.from
		if begin.IsZero() { // it counted nothing before
			begin = s.load.Begin.Add(-margin)
		}
		if from.IsZero() || begin.Before(from) {
			from = begin
		}
		if in.to.After(to) {
			to = in.to
		}
	}
	seen := map[string]bool{}
	for at := from.Add(-slow); at.Before(to); at = at.Add(slice) {
		list, err := s.jaeger.search(ctx, service, "", at, at.Add(slice), sliceLimit)
		if err != nil {
			return nil, err
		}
		if len(list) >= sliceLimit {
			return nil, fmt.Errorf("other clients sent more than %d requests in %s: too many to count separately", sliceLimit, slice)
		}
		for _, t := range list {
			for _, sp := range t {
				in, ok := found[sp.resource.Text("service.instance.id")]
				if ok && sp.is(service, "server") && sp.End().After(in.from) && !sp.End().After(in.to) {
					seen[sp.SpanID] = true
				}
			}
		}
	}
	return seen, nil
}

// quantile compares the p99 of the service time: loadgen's, from all requests, with
// Prometheus', from the buckets of a native histogram. It shows the proxy's p99, too, but
// does not compare it: that includes other traffic and excludes the network.
func (s *session) quantile(ctx context.Context) Check {
	want, got := s.load.Report.Service.P99, 0.0
	wrong := s.eventually(ctx, func(*problems) error {
		v, ok, err := s.prom.one(ctx, fmt.Sprintf("histogram_quantile(0.99, sum(%s))", s.ofRun("soundcheck_loadgen_service_time_seconds")))
		got = v
		switch {
		case err != nil:
			return err
		case !ok || math.IsNaN(got):
			return fmt.Errorf("Prometheus has no service time of run %s", s.load.RunID)
		case apart(got, want) > quantileTolerance:
			return fmt.Errorf("Prometheus has %.2f ms, loadgen %.2f ms: %.1f%% apart", 1e3*got, 1e3*want, 100*apart(got, want))
		}
		return nil
	})
	proxy := ""
	expr := fmt.Sprintf("histogram_quantile(0.99, sum(increase(http_server_request_duration_seconds{service_name=%q}[%ds] anchored)))", proxyService, int(time.Since(s.load.Begin).Seconds())+1)
	if v, ok, err := s.prom.one(ctx, expr); err == nil && ok {
		proxy = fmt.Sprintf("; proxy (all its requests): %.2f ms", 1e3*v)
	}
	return single("p99", wrong, "service time: Prometheus %.2f ms, loadgen %.2f ms%s", 1e3*got, 1e3*want, proxy)
}

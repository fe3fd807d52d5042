package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry/environment"
	"soundcheck/lab/doctor/metrics"
	"soundcheck/lab/doctor/otlp"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// checkFaults checks that no service injects faults.
func (d *doctor) checkFaults(ctx context.Context) *Check {
	c := newCheck("faults")
	if d.status == nil {
		return c.skip(down)
	}
	admins := map[string]string{plan.StoreName: d.Lab.StoreAdmin(), plan.SecondStoreName: d.Lab.SecondStoreAdmin(), plan.ProxyName: d.Lab.ProxyAdmin()}
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(d.services())) {
		admin, ok := admins[name]
		if !ok {
			c.note("those of %s are not known", name)
			continue
		}
		list, hidden, err := d.faults(ctx, admin)
		switch {
		case err != nil:
			c.warn("the faults of "+name+" are not known", err.Error(), "curl "+admin)
		case hidden:
			c.note("those of %s are hidden: an exercise controls them", name)
			continue
		case len(list) > 0:
			c.problem(fmt.Sprintf("%s injects faults: %s", name, strings.Join(list, ", ")), "they were set on the console, with curl, or by -fault; affected spans have the attribute soundcheck.fault", "curl -X DELETE "+admin)
		}
		shown = append(shown, name)
	}
	if len(shown) > 0 {
		c.note("none active in %s", strings.Join(shown, ", "))
	}
	if c.Text == "" {
		return c.skip("no service of the lab runs")
	}
	return c
}

func (d *doctor) faults(ctx context.Context, admin string) (list []string, hidden bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin, nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("%s responded %s", admin, resp.Status)
	}
	var body struct {
		Faults []string
		Hidden bool
	}
	err = json.NewDecoder(resp.Body).Decode(&body)
	return body.Faults, body.Hidden, err
}

const overloaded = "more requests arrive than it can process in time (-concurrency, -queue, -queue-wait)"

// reasons are why a service sheds or rejects requests, with what it means. Requests whose client left are not of interest.
var reasons = map[string]string{
	"global_rate_limit": "its rate limit for all clients (-rate-limit) is exceeded",
	"client_rate_limit": "the rate limit of a client (-client-rate-limit) is exceeded",
	"queue_full":        overloaded,
	"queue_timeout":     overloaded,
	"deadline_exceeded": "the deadline of requests passed before they were started",
}

// checkLimits checks for limits that shed, reject or delay requests now: between the two samples.
func (d *doctor) checkLimits(context.Context) *Check {
	c := newCheck("limits")
	services := d.services()
	switch {
	case len(services) == 0:
		return c.skip("no service of the lab runs")
	case d.exercise() != "":
		return c.skip("hidden: exercise %s is active", d.exercise())
	}
	seconds := d.second.at.Sub(d.first.at).Seconds()
	for _, name := range slices.Sorted(maps.Keys(services)) {
		after, ok := d.second.pages[name]
		if !ok {
			if err := d.second.failed[name]; err != nil && !strings.HasPrefix(name, "the store at ") { // else checkLab reports it
				c.warn("the metrics of "+name+" cannot be read", err.Error(), "curl "+services[name]+"/metrics")
			}
			continue
		}
		before := d.first.pages[name]
		if before == nil {
			continue
		}
		var now, total float64
		var which, why []string
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			is := func(l map[string]string) bool { return l["soundcheck_overload_decision"] == reason }
			shed := after.Sum("soundcheck_overload_decisions_total", is)
			total += shed
			if n := shed - before.Sum("soundcheck_overload_decisions_total", is); n > 0 {
				now += n
				which, why = append(which, reason), append(why, reasons[reason]+d.limitVariable(name, reason))
			}
		}
		if now > 0 {
			c.warn(fmt.Sprintf("%s sheds %.0f req/s now: %s", name, max(1, now/seconds), strings.Join(which, ", ")), strings.Join(slices.Compact(why), "; "),
				fmt.Sprintf("curl -s %s/metrics | grep overload_decisions"+or+"send less load, or raise the limit", services[name]))
		} else if total > 0 {
			c.note("%s has shed %.0f requests since it started", name, total)
		}
		d.upstream(c, name, before, after, seconds)
		d.pools(c, name, before, after)
	}
	if c.Text == "" {
		c.note("none binds")
	} else {
		c.note("none binds now")
	}
	return c
}

// limitVariable names the variable that sets a rate limit, if the environment of the process has it.
func (d *doctor) limitVariable(name, reason string) string {
	flag, ok := map[string]string{"global_rate_limit": "RATE_LIMIT", "client_rate_limit": "CLIENT_RATE_LIMIT"}[reason]
	if p := d.componentOf(name); p != nil && ok {
		prefix := "SOUNDCHECK_STORE_"
		if name == plan.ProxyName {
			prefix = "SOUNDCHECK_PROXY_"
		}
		env, _ := d.sys.Process(p.Process.PID).Environ()
		if v := environment.Lookup(env, prefix+flag); v != "" {
			return ": " + prefix + flag + "=" + v
		}
	}
	return ""
}

// upstream reports what the proxy's client of the store does.
func (d *doctor) upstream(c *Check, name string, before, after metrics.Page, seconds float64) {
	for _, p := range after["soundcheck_upstream_breaker_state"] {
		if p.Value < 1 {
			continue
		}
		server := p.Labels["server_address"]
		if port := p.Labels["server_port"]; port != "" {
			server += ":" + port
		}
		c.problem(fmt.Sprintf("the circuit breaker of %s for %s is %s", name, server, map[float64]string{1: "half-open", 2: "open"}[p.Value]),
			"the store failed or did not respond: the proxy responds with 503 without a call, until the store recovers", d.command("logs %s", plan.StoreName))
	}
	for _, r := range [][2]string{{"retry_budget", "its retry budget is exhausted: too many calls of the store fail"}, {"store", "the store sheds them"}} {
		reason, cause := r[0], r[1]
		is := func(l map[string]string) bool { return l["soundcheck_shed_reason"] == reason }
		if n := after.Sum("soundcheck_upstream_shed_total", is) - before.Sum("soundcheck_upstream_shed_total", is); n > 0 {
			c.warn(fmt.Sprintf("%s sheds %.0f req/s now: %s", name, n/seconds, reason), cause, d.command("logs %s", plan.StoreName))
		}
	}
}

// pools reports connection pools that are used up in both samples. SQLite has one connection that writes: calls that wait for it
// are usual.
func (d *doctor) pools(c *Check, name string, before, after metrics.Page) {
	for _, limit := range after["db_sql_connection_max_open"] {
		pool := limit.Labels["db_client_connection_pool_name"]
		of := func(l map[string]string) bool { return l["db_client_connection_pool_name"] == pool }
		used := func(l map[string]string) bool { return of(l) && l["status"] == "inuse" }
		if limit.Value <= 1 || after.Sum("db_sql_connection_open", used) < limit.Value || before.Sum("db_sql_connection_open", used) < limit.Value {
			continue
		}
		cause := "no call waits for one now"
		if n := after.Sum("db_sql_connection_wait_total", of) - before.Sum("db_sql_connection_wait_total", of); n > 0 {
			cause = fmt.Sprintf("%.0f calls waited for one just now", n)
		}
		c.problem(fmt.Sprintf("%s uses all %.0f connections of its pool %q", name, limit.Value, pool), cause+": slow statements, more load than the database can process, or a leak",
			d.command("restart %s", name))
	}
}

// checkOTLP checks the endpoints that telemetry is sent to: the Collector's, and that of the environment.
func (d *doctor) checkOTLP(ctx context.Context) *Check {
	c := newCheck("otlp")
	var probes []func(context.Context) *Check // at the same time: each waits for seconds if its endpoint hangs
	add := func(variable, endpoint, protocol string) {
		probes = append(probes, func(ctx context.Context) *Check { return d.probe(ctx, variable, endpoint, protocol) })
	}
	if p := d.componentOf(collector); p != nil && p.State == supervisor.Ready {
		add("", d.Lab.OTLP(), otlp.HTTP)
		add("", d.Lab.OTLPGRPC(), otlp.GRPC)
	} else if d.status != nil {
		c.note("the Collector is not ready")
	}
	seen := map[string]bool{}
	for _, prefix := range environment.Prefixes() {
		endpoint, protocol := otlp.Endpoint(d.Environ, prefix)
		if endpoint == "" || seen[endpoint+protocol] {
			continue
		}
		seen[endpoint+protocol] = true
		add(prefix+"ENDPOINT", endpoint, protocol)
	}
	if c.Text == "" && len(probes) == 0 {
		return c.skip("%s, and OTEL_EXPORTER_OTLP_ENDPOINT is not set", down)
	}
	for _, p := range together(ctx, probes) {
		if p.Text != "" {
			c.note("%s", p.Text)
		}
		for _, f := range p.Findings {
			c.add(f)
		}
	}
	return c
}

// probe exports to the endpoint of a variable, "": of the Collector, and reports if the protocol that is to be used fails.
func (d *doctor) probe(ctx context.Context, variable, endpoint, protocol string) *Check {
	c := newCheck("otlp")
	shown := cli.WithoutPassword(endpoint)
	if otlp.Accepts(ctx, endpoint, protocol, otlp.Headers(d.Environ)) {
		c.note("%s accepts %s", shown, protocol)
		return c
	}
	what, next := variable+" "+shown, "go run ./lab doctor -otlp "+shown
	if variable == "" {
		what, next = "the Collector's port "+shown, d.command("logs %s", collector)
	}
	results, err := otlp.Check(ctx, endpoint, otlp.Headers(d.Environ))
	if err != nil {
		c.problem(what+" cannot be used", "it is not an http:// or https:// URL with a host", "unset "+variable)
		return c
	}
	for i, r := range results {
		other := results[len(results)-1-i]
		text := fmt.Sprintf("%s does not accept %s: %s", what, protocol, shortened(r.Saw))
		switch {
		case r.Protocol != protocol || r.OK: // it works by now
		case other.OK && variable != "":
			c.problem(text, "the server speaks "+other.Protocol+" there", "export "+strings.TrimSuffix(variable, "ENDPOINT")+"PROTOCOL="+other.Protocol)
		default:
			c.problem(text, r.Cause+": "+r.Fix, next)
		}
	}
	return c
}

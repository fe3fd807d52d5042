package doctor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/telemetry/environment"
	"soundcheck/lab/doctor/metrics"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// stages are the values of "stage" in the recording rule soundcheck:telemetry_lost:increase5m, by which hop loses, why, and what
// to do. %s is the component.
var stages = map[string]struct{ hop, cause string }{
	"dropped":     {"inside %s", "its queue was full: it records more than the Collector accepts"},
	"undelivered": {"between %s and the Collector", "the Collector was down, or did not respond, for longer than exporters retry"},
	"refused":     {"at the receiver of %s", "it is near its memory limit, or cannot decode what it receives"},
	"failed":      {"between %s and its backend", "the backend rejects it for good, or the queue is full"},
	"rejected":    {"in the Collector, of %s", "points without a time, too old, in the future, or out of order: Prometheus would reject the whole request"},
}

// checkTelemetry says which hop loses telemetry: component, Collector, Jaeger, Prometheus.
func (d *doctor) checkTelemetry(ctx context.Context) *Check {
	c := newCheck("telemetry")
	if d.status == nil {
		return c.skip(down)
	}
	if p := d.componentOf(collector); p != nil && p.State != supervisor.Ready && d.status.Phase == supervisor.Up {
		c.problem("the Collector is not ready: nothing arrives", "services keep telemetry in a queue for some seconds, then it is lost", d.command("logs otel-collector"))
	}
	d.exporters(c)
	d.collectorLog(c)
	if d.up("prometheus") == nil {
		c.note("what the Collector and Jaeger lose is not known: Prometheus, which has their metrics, is not ready")
		return c
	}
	d.targets(ctx, c)
	d.lost(ctx, c)
	d.queues(ctx, c)
	d.silent(ctx, c)
	if d.up(collector) == nil {
		c.note("the Collector is not ready")
	} else {
		c.note("nothing was lost in the last 5 minutes")
	}
	return c
}

// prometheus is that of the lab.
func (d *doctor) prometheus() metrics.Prometheus {
	return metrics.Prometheus{URL: d.Lab.Prometheus(), Client: d.client}
}

// queried evaluates an expression; an error is a finding.
func (d *doctor) queried(ctx context.Context, c *Check, expr string) []metrics.Point {
	list, err := d.prometheus().Query(ctx, expr)
	if err != nil && ctx.Err() == nil {
		c.warn("Prometheus does not respond to a query", err.Error(), d.command("logs prometheus"))
	}
	return list
}

// lost reads the rule that counts lost telemetry by hop.
func (d *doctor) lost(ctx context.Context, c *Check) {
	type hop struct{ stage, name string }
	counts := map[hop][]string{}
	for _, p := range d.queried(ctx, c, "sort_desc(soundcheck:telemetry_lost:increase5m > 0)") {
		h := hop{p.Labels["stage"], p.Labels["service_name"]}
		counts[h] = append(counts[h], fmt.Sprintf("%.0f %s", math.Ceil(p.Value), units[p.Labels["signal"]]))
	}
	for _, h := range slices.SortedFunc(maps.Keys(counts), func(a, b hop) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.stage, b.stage)) }) {
		s, ok := stages[h.stage]
		if !ok {
			s.hop, s.cause = "at %s", "stage "+h.stage
		}
		logs := h.name
		if h.stage == "rejected" || !slices.ContainsFunc(d.components, func(c plan.Component) bool { return c.Name == h.name }) {
			logs = collector
		}
		next := d.command("logs %s", logs)
		what, where := strings.Join(counts[h], ", "), fmt.Sprintf(s.hop, h.name)
		if h.stage == "refused" {
			c.warn(fmt.Sprintf("%s refused in the last 5 minutes %s", what, where), s.cause+"; senders retry for a while", next)
		} else {
			c.problem(fmt.Sprintf("%s lost in the last 5 minutes %s", what, where), s.cause, next)
		}
	}
}

var units = map[string]string{"traces": "spans", "metrics": "metric points", "logs": "log records"}

// exporters reads the SDK's own metrics on the pages of the services: they work without Collector and Prometheus. A loss
// that Prometheus knows is reported by lost.
func (d *doctor) exporters(c *Check) {
	for _, name := range slices.Sorted(maps.Keys(d.second.pages)) {
		page := d.second.pages[name]
		wrong := func(l map[string]string) bool { return l["error_type"] != "" }
		var parts []string
		for _, item := range []struct{ name, unit string }{{"span", "spans"}, {"log", "log records"}, {"metric_data_point", "metric points"}} {
			lost := page.Sum("otel_sdk_exporter_"+item.name+"_exported_total", wrong) + page.Sum("otel_sdk_processor_"+item.name+"_processed_total", wrong)
			recent := lost
			if before, ok := d.first.pages[name]; ok {
				recent -= before.Sum("otel_sdk_exporter_"+item.name+"_exported_total", wrong) + before.Sum("otel_sdk_processor_"+item.name+"_processed_total", wrong)
			}
			if recent > 0 {
				c.problem(fmt.Sprintf("%.0f %s of %s lost in the last seconds, before they reached the Collector", recent, item.unit, name),
					"the Collector does not accept them, or the queue of the service is full", d.command("logs otel-collector"))
			} else if lost > 0 {
				parts = append(parts, fmt.Sprintf("%.0f %s", lost, item.unit))
			}
		}
		if len(parts) > 0 {
			c.note("%s lost %s since it started", name, strings.Join(parts, ", "))
		}
		for _, q := range page["otel_sdk_processor_span_queue_capacity"] {
			used := page.Sum("otel_sdk_processor_span_queue_size", func(l map[string]string) bool {
				return l["otel_component_name"] == q.Labels["otel_component_name"]
			})
			if q.Value > 0 && used >= q.Value/2 {
				c.warn(fmt.Sprintf("the span queue of %s is %.0f%% full", name, 100*used/q.Value), "the Collector is down or slow; spans are dropped when the queue is full", d.command("logs otel-collector"))
			}
		}
	}
}

// collectorLine is a line of the Collector's log.
type collectorLine struct {
	Level, Msg, Error string
	TS                time.Time
	Component         string `json:"otelcol.component.id"`
	Signal            string `json:"otelcol.signal"`
}

// recent is how old a line of the Collector's log may be: an exporter retries, and logs it, every 5 s.
const recent = 30 * time.Second

// starting is the time that a backend has to listen.
const starting = 10 * time.Second

// collectorLog reads from the Collector's log what it cannot deliver now, also without Prometheus.
func (d *doctor) collectorLog(c *Check) {
	if d.componentOf(collector) == nil {
		return
	}
	last, count := map[string]collectorLine{}, map[string]int{}
	for text := range bytes.Lines(supervisor.Tail(filepath.Join(d.Lab.Logs(), "otel-collector.log"), 1000)) {
		var l collectorLine
		if json.Unmarshal(text, &l) != nil || time.Since(l.TS) > recent {
			continue
		}
		key := ""
		switch {
		case strings.HasPrefix(l.Msg, "Exporting failed"):
			key = l.Component
		case strings.HasPrefix(l.Msg, "Memory usage is above"):
			key = "memory"
		case strings.HasPrefix(l.Msg, "Memory usage back within limits"):
			delete(last, "memory")
		}
		if key != "" {
			last[key] = l
			count[key]++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		l := last[key]
		if key == "memory" {
			env, _ := d.sys.Process(d.componentOf(collector).Process.PID).Environ()
			c.problem("the Collector refuses telemetry", fmt.Sprintf("%s Its limit is %s MiB", l.Msg, cmp.Or(environment.Lookup(env, "COLLECTOR_MEMORY_LIMIT_MIB"), "512")),
				"COLLECTOR_MEMORY_LIMIT_MIB=1024 "+d.upCommand("", d.Lab.Offset))
			continue
		}
		backend := strings.TrimPrefix(key, "otlp_http/")
		if b := d.componentOf(backend); b != nil && b.State == supervisor.Ready && l.TS.Before(b.Since.Add(starting)) {
			continue // it did not listen yet; a failure that lasts is logged again
		}
		waits := "it is queued on disk until the backend accepts it"
		if strings.Contains(l.Msg, "Dropping") || strings.Contains(l.Msg, "Permanent") {
			waits = "it is lost"
		}
		at := l.TS.Local().Format(time.TimeOnly)
		c.problem(fmt.Sprintf("the Collector cannot deliver %s to %s: %s, last at %s", cmp.Or(l.Signal, "telemetry"), backend, plural(count[key], "failed attempt"), at),
			shortened(l.Error)+"; "+waits, d.command("logs %s", backend))
	}
}

// targets reports what Prometheus cannot scrape.
func (d *doctor) targets(ctx context.Context, c *Check) {
	var data struct {
		ActiveTargets []struct {
			ScrapePool, ScrapeURL, Health, LastError string
		}
	}
	if err := d.prometheus().Data(ctx, "/api/v1/targets", url.Values{"state": {"active"}}, &data); err != nil {
		c.warn("the targets of Prometheus are not known", err.Error(), d.command("logs prometheus"))
		return
	}
	for _, t := range data.ActiveTargets {
		if t.Health == "down" {
			c.problem(fmt.Sprintf("Prometheus cannot scrape %s (job %s)", t.ScrapeURL, t.ScrapePool), t.LastError, "curl -i "+t.ScrapeURL)
		}
	}
}

// queues reports queues of the Collector that fill.
func (d *doctor) queues(ctx context.Context, c *Check) {
	for _, p := range d.queried(ctx, c, "max by (exporter) (last_over_time(otelcol_exporter_queue_size[1m]) / last_over_time(otelcol_exporter_queue_capacity[1m])) > 0.5") {
		exporter := p.Labels["exporter"]
		c.warn(fmt.Sprintf("the Collector's queue of %s is %.0f%% full", exporter, 100*p.Value), "the backend is down or slower than the load; telemetry is lost when the queue is full",
			d.command("logs %s", strings.TrimPrefix(exporter, "otlp_http/")))
	}
}

// late is how long a component may run without metrics in Prometheus. The services export every 5 s, the Collector every
// 10 s.
const late = time.Minute

// silent reports components that run, and whose metrics do not arrive.
func (d *doctor) silent(ctx context.Context, c *Check) {
	arrived := map[string]bool{}
	for _, p := range d.queried(ctx, c, "group by (service_name) (count_over_time(go_goroutine_count[1m]) or count_over_time(otelcol_process_uptime_seconds_total[1m]))") {
		arrived[p.Labels["service_name"]] = true
	}
	for _, name := range []string{plan.StoreName, plan.ProxyName, collector} {
		p, prometheus := d.up(name), d.up("prometheus")
		if p == nil || arrived[name] || time.Since(p.Since) < late || time.Since(prometheus.Since) < late {
			continue
		}
		cause := "its exporter, the Collector, or the network between them"
		if name == collector {
			cause = "the Collector sends its own metrics directly to Prometheus"
		}
		c.problem("no metrics of "+name+" have arrived in Prometheus in the last minute", cause, d.command("logs otel-collector"))
	}
}

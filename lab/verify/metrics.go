package verify

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// RuleName is a rule of a file, which Prometheus must have loaded.
type RuleName struct{ Kind, Name string } // record or alert

// ruleLine is where a rule of a file says its name.
var ruleLine = regexp.MustCompile(`(?m)^\s*(?:-\s+)?(record|alert):\s*["']?([A-Za-z_:][A-Za-z0-9_:]*)["']?\s*(?:#.*)?$`)

// ReadRules returns the rules of the files that match pattern.
func ReadRules(files fs.FS, pattern string) ([]RuleName, error) {
	paths, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	var rules []RuleName
	for _, path := range paths {
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		for _, m := range ruleLine.FindAllSubmatch(b, -1) {
			rules = append(rules, RuleName{string(m[1]), string(m[2])})
		}
	}
	return rules, nil
}

// unborn are metrics that are there only after what they count has happened for the first
// time, and why.
var unborn = map[string]string{
	"otelcol_exporter_enqueue_failed_spans_total":         queueFull,
	"otelcol_exporter_enqueue_failed_metric_points_total": queueFull,
	"otelcol_exporter_enqueue_failed_log_records_total":   queueFull,
	"soundcheck_fault_injected_total":                     "no fault was on yet",
	"soundcheck_upstream_retries_total":                   "the proxy had to send nothing again yet",
	"soundcheck_upstream_hedges_total":                    "the proxy sends nothing twice unless -hedge-after says so",
	"soundcheck_upstream_shed_total":                      "the proxy has shed no request yet",
	"soundcheck_overload_queue_wait_seconds":              "no request had to wait in a queue yet",
	"otelcol_deltatocumulative_datapoints_total":          "no service has sent a delta yet",
	"jaeger_storage_requests_total":                       noRead,
	"jaeger_storage_latency_seconds":                      noRead,
	"jaeger_storage_latency_seconds_count":                noRead,
	"jaeger_storage_latency_seconds_sum":                  noRead,
	"ALERTS":                                              "no alert has fired yet",
}

const noRead = "nobody has looked at a trace yet"

const queueFull = "no queue of the Collector was full yet"

// labelValues is what a dashboard's variable asks for.
var labelValues = regexp.MustCompile(`^\s*label_values\((?:(.*),)?\s*[A-Za-z_][A-Za-z0-9_]*\s*\)\s*$`)

// metrics looks at rules, names and numbers of series.
func (s *session) metrics(ctx context.Context) []Check {
	return []Check{s.rules(ctx), s.names(ctx), s.cardinality(ctx)}
}

// rules makes sure that Prometheus evaluates the rules of the files, without an error.
func (s *session) rules(ctx context.Context) Check {
	const name = "rules"
	var problems []string
	s.eventually(ctx, func() bool {
		problems = nil
		live, err := s.prom.rules(ctx)
		if err != nil {
			problems = []string{err.Error()}
			return false
		}
		loaded := map[string]bool{}
		for _, r := range live {
			loaded[r.Name] = true
			if r.Health != "ok" {
				problems = append(problems, fmt.Sprintf("%s: health %q %s", r.Name, r.Health, r.LastError))
			}
		}
		for _, r := range s.Rules {
			if !loaded[r.Name] {
				problems = append(problems, fmt.Sprintf("%s %s is not loaded", r.Kind, r.Name))
			}
		}
		return len(problems) == 0
	})
	return verdict(name, problems, "%d recording and alerting rules are evaluated", len(s.Rules))
}

// names makes sure that each metric that is asked for exists.
func (s *session) names(ctx context.Context) Check {
	const name = "metric names"
	asked := map[string][]string{} // by metric, who asks
	ask := func(expr, who string) {
		for _, n := range metricNames(expr) {
			if !slices.Contains(asked[n], who) {
				asked[n] = append(asked[n], who)
			}
		}
	}
	for _, d := range s.Dashboards {
		for _, v := range d.Variables {
			if m := labelValues.FindStringSubmatch(v.Query); m != nil {
				ask(m[1], fmt.Sprintf("variable %s of %q", v.Name, d.Title))
			}
		}
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				ask(s.interpolate(t.Expr, time.Now()), fmt.Sprintf("panel %q of %q", p.Title, d.Title))
			}
		}
	}
	var problems, notes []string
	s.eventually(ctx, func() bool {
		problems, notes = nil, nil
		live, err := s.prom.rules(ctx)
		if err != nil {
			problems = []string{err.Error()}
			return false
		}
		for _, r := range live {
			ask(r.Query, "rule "+r.Name)
		}
		there, err := s.prom.names(ctx)
		if err != nil {
			problems = []string{err.Error()}
			return false
		}
		for _, n := range slices.Sorted(maps.Keys(asked)) {
			switch {
			case there[n]:
			case unborn[n] != "":
				notes = append(notes, n+" is not there: "+unborn[n])
			default:
				problems = append(problems, n+" does not exist: "+strings.Join(asked[n], ", "))
			}
		}
		return len(problems) == 0
	})
	c := verdict(name, problems, "%d names in dashboards and rules; %d of them may be missing", len(asked), len(notes))
	c.Details = append(c.Details, notes...)
	return c
}

// cardinality makes sure that no metric has more series than it may.
func (s *session) cardinality(ctx context.Context) Check {
	const name = "cardinality"
	list, err := s.prom.query(ctx, `count by (__name__) ({__name__!=""})`)
	if err != nil {
		return failed(name, "%v", err)
	}
	var problems []string
	total, most, largest := 0, 0, ""
	for _, r := range list {
		n := int(r.samples[0].value)
		if total += n; n > most {
			most, largest = n, r.labels["__name__"]
		}
		if n > s.MaxSeries {
			problems = append(problems, fmt.Sprintf("%s has %d series, more than %d", r.labels["__name__"], n, s.MaxSeries))
		}
	}
	if total > s.MaxTotalSeries {
		problems = append(problems, fmt.Sprintf("%d series, more than %d", total, s.MaxTotalSeries))
	}
	if total == 0 {
		problems = append(problems, "there is no series")
	}
	// What the SDK puts together because there are too many.
	over, err := s.prom.query(ctx, `count by (__name__, service_name) ({otel_metric_overflow="true"})`)
	if err != nil {
		return failed(name, "%v", err)
	}
	for _, r := range over {
		problems = append(problems, fmt.Sprintf("%s of %s has more series than its SDK keeps apart", r.labels["__name__"], r.labels["service_name"]))
	}
	return verdict(name, problems, "%d series of %d metrics (%d allowed); most has %s: %d (%d allowed)", total, len(list), s.MaxTotalSeries, largest, most, s.MaxSeries)
}

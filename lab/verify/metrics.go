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

// labelValues is what a dashboard's variable asks for.
var labelValues = regexp.MustCompile(`^\s*label_values\((?:(.*),)?\s*[A-Za-z_][A-Za-z0-9_]*\s*\)\s*$`)

// metrics looks at rules, names and numbers of series.
func (s *session) metrics(ctx context.Context) []Check {
	return []Check{s.rules(ctx), s.names(ctx), s.cardinality(ctx)}
}

// rules makes sure that Prometheus evaluates the rules of the files, without an error.
func (s *session) rules(ctx context.Context) Check {
	wrong := s.eventually(ctx, func(wrong *problems) error {
		live, err := s.prom.rules(ctx)
		loaded := map[string]bool{}
		for _, r := range live {
			loaded[r.Name] = true
			if r.Health != "ok" {
				wrong.add("%s: health %q %s", r.Name, r.Health, r.LastError)
			}
		}
		for _, r := range s.Rules {
			if err == nil && !loaded[r.Name] {
				wrong.add("%s %s is not loaded", r.Kind, r.Name)
			}
		}
		return err
	})
	return verdict("rules", wrong, "%d recording and alerting rules are evaluated", len(s.Rules))
}

// names makes sure that each metric that is asked for exists.
func (s *session) names(ctx context.Context) Check {
	asked := map[string][]string{} // by metric, who asks
	ask := func(expr, format string, args ...any) {
		who := fmt.Sprintf(format, args...)
		for _, n := range metricNames(expr) {
			if !slices.Contains(asked[n], who) {
				asked[n] = append(asked[n], who)
			}
		}
	}
	for _, d := range s.Dashboards {
		for _, v := range d.Variables {
			if m := labelValues.FindStringSubmatch(v.Query); m != nil {
				ask(m[1], "variable %s of %q", v.Name, d.Title)
			}
		}
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				ask(s.interpolate(t.Expr, time.Now()), "panel %q of %q", p.Title, d.Title)
			}
		}
	}
	var notes []string
	wrong := s.eventually(ctx, func(wrong *problems) error {
		live, err := s.prom.rules(ctx)
		if err != nil {
			return err
		}
		for _, r := range live {
			ask(r.Query, "rule %s", r.Name)
		}
		there, err := s.prom.names(ctx)
		if err != nil {
			return err
		}
		notes = nil
		for _, n := range slices.Sorted(maps.Keys(asked)) {
			switch {
			case slices.Contains(there, n):
			case optionalMetrics[n] != "":
				notes = append(notes, n+" is not there: "+optionalMetrics[n])
			default:
				wrong.add("%s does not exist: %s", n, strings.Join(asked[n], ", "))
			}
		}
		return nil
	})
	c := verdict("metric names", wrong, "%d names in dashboards and rules; %d of them may be missing", len(asked), len(notes))
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
	// What the SDK puts together because there are too many.
	over, err := s.prom.query(ctx, `count by (__name__, service_name) ({otel_metric_overflow="true"})`)
	if err != nil {
		return failed(name, "%v", err)
	}
	var wrong problems
	total, most, largest := 0, 0, ""
	for _, r := range list {
		n := int(r.samples[0].value)
		if total += n; n > most {
			most, largest = n, r.labels["__name__"]
		}
		if n > s.MaxSeries {
			wrong.add("%s has %d series, more than %d", r.labels["__name__"], n, s.MaxSeries)
		}
	}
	if total > s.MaxTotalSeries {
		wrong.add("%d series, more than %d", total, s.MaxTotalSeries)
	}
	if total == 0 {
		wrong.add("there is no series")
	}
	for _, r := range over {
		wrong.add("%s of %s has more series than its SDK keeps apart", r.labels["__name__"], r.labels["service_name"])
	}
	return verdict(name, wrong, "%d series of %d metrics (%d allowed); most has %s: %d (%d allowed)", total, len(list), s.MaxTotalSeries, largest, most, s.MaxSeries)
}

// exemplarsEach is how many of a histogram of a service are followed.
const exemplarsEach = 10

// exemplars makes sure that each leads to a stored trace, and to a span of who names it.
func (s *session) exemplars(ctx context.Context) []Check {
	var followed, groups int
	wrong := s.eventually(ctx, func(wrong *problems) error {
		followed, groups = 0, 0
		for _, metric := range slices.Sorted(maps.Keys(exemplarHistograms)) {
			byService, err := s.prom.exemplars(ctx, metric, s.load.Begin, time.Now())
			if err != nil {
				return err
			}
			for _, service := range exemplarHistograms[metric] {
				if len(byService[service]) == 0 {
					wrong.add("%s of %s has none", metric, service)
				}
			}
			for service, list := range byService {
				groups++
				followed += min(len(list), exemplarsEach)
				if err := s.follow(ctx, wrong, metric, service, list); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return []Check{verdict("exemplars", wrong, "%d exemplars of %d histograms lead to their spans", followed, groups)}
}

// follow adds what is wrong with some of the exemplars, which are spread over all.
func (s *session) follow(ctx context.Context, wrong *problems, metric, service string, list []exemplar) error {
	spans := map[string][]string{}
	for i := range min(len(list), exemplarsEach) {
		e := list[i*len(list)/min(len(list), exemplarsEach)]
		if e.trace == "" {
			wrong.add("%s of %s: an exemplar without trace_id", metric, service)
			continue
		}
		spans[e.trace] = append(spans[e.trace], e.span)
	}
	return s.jaeger.each(ctx, slices.Sorted(maps.Keys(spans)), func(id string, t traceOf) {
		for _, want := range spans[id] {
			if !slices.ContainsFunc(t, func(sp *span) bool { return sp.SpanID == want && sp.service == service }) {
				wrong.add("%s of %s: span %s of trace %s is not stored (%d spans are)", metric, service, want, id, len(t))
			}
		}
	})
}

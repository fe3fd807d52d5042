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

// RuleName is a rule that Prometheus must have loaded.
type RuleName struct{ Kind, Name string } // record or alert

// ruleLine is the line with a rule's name in a file.
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

// labelValues is the query of a dashboard variable.
var labelValues = regexp.MustCompile(`^\s*label_values\((?:(.*),)?\s*[A-Za-z_][A-Za-z0-9_]*\s*\)\s*$`)

// metrics checks rules, metric names and numbers of series.
func (s *session) metrics(ctx context.Context) []Check {
	return []Check{s.rules(ctx), s.names(ctx), s.cardinality(ctx)}
}

// rules checks that Prometheus evaluates the rules of the files without an error.
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
	return verdict("rules", wrong, "%d recording and alerting rules are evaluated without error", len(s.Rules))
}

// names checks that each metric in a query exists.
func (s *session) names(ctx context.Context) Check {
	users := map[string][]string{} // by metric, the panels, variables and rules that query it
	ask := func(expr, format string, args ...any) {
		user := fmt.Sprintf(format, args...)
		for _, n := range metricNames(expr) {
			if !slices.Contains(users[n], user) {
				users[n] = append(users[n], user)
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
		for _, n := range slices.Sorted(maps.Keys(users)) {
			switch {
			case slices.Contains(there, n):
			case s.optional(n) != "":
				notes = append(notes, n+" does not exist: "+s.optional(n))
			default:
				wrong.add("%s does not exist: %s", n, strings.Join(users[n], ", "))
			}
		}
		return nil
	})
	c := verdict("metric names", wrong, "%d names in dashboards and rules; %d optional ones are missing", len(users), len(notes))
	c.Details = append(c.Details, notes...)
	return c
}

// cardinality checks the number of series, per metric and in total.
func (s *session) cardinality(ctx context.Context) Check {
	const name = "cardinality"
	list, err := s.prom.query(ctx, `count by (__name__) ({__name__!=""})`)
	if err != nil {
		return failed(name, "%v", err)
	}
	// Series that an SDK merged because there were too many.
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
		wrong.add("no series")
	}
	for _, r := range over {
		wrong.add("%s of %s exceeds the cardinality limit of its SDK", r.labels["__name__"], r.labels["service_name"])
	}
	return verdict(name, wrong, "%d series of %d metrics (max %d); largest: %s with %d (max %d)", total, len(list), s.MaxTotalSeries, largest, most, s.MaxSeries)
}

// exemplarsEach is how many exemplars per histogram and service are checked.
const exemplarsEach = 10

// exemplars checks that each links to a stored span of its service.
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
	return []Check{verdict("exemplars", wrong, "%d exemplars of %d histograms link to stored spans", followed, groups)}
}

// follow checks a sample of the exemplars, spread over all.
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

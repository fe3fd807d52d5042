package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// sampledHistograms are those whose exemplars are followed, and who has to have some.
var sampledHistograms = map[string][]string{
	"http_server_request_duration_seconds":     {proxyService, storeService},
	"http_client_request_duration_seconds":     {proxyService, loadgenName},
	"soundcheck_loadgen_response_time_seconds": {loadgenName},
	"traces_span_metrics_duration_seconds":     {proxyService, storeService, loadgenName},
}

// exemplarsEach is how many of a histogram of a service are followed.
const exemplarsEach = 10

// exemplars makes sure that each leads to a stored trace, and to a span of who names it.
func (s *session) exemplars(ctx context.Context) []Check {
	const name = "exemplars"
	followed, groups := 0, 0
	var problems []string
	s.eventually(ctx, func() bool {
		problems, followed, groups = nil, 0, 0
		for _, metric := range slices.Sorted(maps.Keys(sampledHistograms)) {
			list, err := s.prom.exemplars(ctx, metric, s.load.Begin, time.Now())
			if err != nil {
				problems = append(problems, err.Error())
				return false
			}
			byService := map[string][]exemplar{}
			for _, e := range list {
				byService[e.service] = append(byService[e.service], e)
			}
			for _, service := range sampledHistograms[metric] {
				if len(byService[service]) == 0 {
					problems = append(problems, fmt.Sprintf("%s of %s has none", metric, service))
				}
			}
			for service, list := range byService {
				groups++
				followed += min(len(list), exemplarsEach)
				wrong, err := s.follow(ctx, metric, service, list)
				if problems = append(problems, wrong...); err != nil {
					problems = append(problems, err.Error())
					return false
				}
			}
		}
		return len(problems) == 0
	})
	return []Check{verdict(name, problems, "%d exemplars of %d histograms lead to their spans", followed, groups)}
}

// follow returns what is wrong with some of the exemplars, which are spread over all.
func (s *session) follow(ctx context.Context, metric, service string, list []exemplar) (problems []string, err error) {
	spans := map[string][]string{}
	for i := range min(len(list), exemplarsEach) {
		e := list[i*len(list)/min(len(list), exemplarsEach)]
		if e.trace == "" {
			problems = append(problems, fmt.Sprintf("%s of %s: an exemplar without trace_id", metric, service))
			continue
		}
		spans[e.trace] = append(spans[e.trace], e.span)
	}
	err = s.jaeger.each(ctx, slices.Sorted(maps.Keys(spans)), func(id string, t traceOf) {
		for _, want := range spans[id] {
			if !slices.ContainsFunc(t, func(sp *span) bool { return sp.SpanID == want && sp.service == service }) {
				problems = append(problems, fmt.Sprintf("%s of %s: span %s of trace %s is not stored (%d spans are)", metric, service, want, id, len(t)))
			}
		}
	})
	return problems, err
}

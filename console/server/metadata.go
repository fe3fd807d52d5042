package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"soundcheck/console/metadata"
	"soundcheck/lab/plan"
)

// metricMetadata responds with the metadata of metrics by name.
func metricMetadata(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		return metadata.Find(r.Context(), direct, c.Prometheus, c.serviceMetrics(r.Context())), nil
	}
}

// serviceMetrics returns the URLs of the metrics of proxies and album stores.
func (c Config) serviceMetrics(ctx context.Context) (list []string) {
	isService := func(name string) bool {
		return strings.HasPrefix(name, plan.ProxyName) || strings.HasPrefix(name, plan.StoreName)
	}
	for _, container := range c.Containers {
		if u, err := url.Parse(container.Ready); err == nil && isService(container.Name) {
			list = append(list, u.Scheme+"://"+u.Host+"/metrics")
		}
	}
	if len(c.Containers) > 0 {
		return list
	}
	if a := ask(ctx, c.State); a.Status != nil {
		for _, p := range a.Status.Components {
			if isService(p.Name) {
				list = append(list, p.Address+"/metrics")
			}
		}
	}
	return list
}

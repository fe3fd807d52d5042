package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"soundcheck/lab/plan"
)

// maxMetadata is the max size of metadata and of a service's metrics in bytes.
const maxMetadata = 8 << 20

// metadataTimeout is the timeout of each source.
const metadataTimeout = 3 * time.Second

// metricInfo is the metadata of a metric, as in Prometheus' /api/v1/metadata.
type metricInfo struct {
	Type string `json:"type"`
	Unit string `json:"unit"`
	Help string `json:"help"`
}

// metadata responds with the metadata of metrics by name. Prometheus knows that of the metrics which it scrapes;
// the services send theirs as OTLP, but have the same ones at /metrics. A source that does not respond is left out:
// the metadata is only shown beside names.
func metadata(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), metadataTimeout)
		defer cancel()
		all, mu := map[string]metricInfo{}, sync.Mutex{}
		add := func(list map[string]metricInfo) {
			mu.Lock()
			defer mu.Unlock()
			for name, m := range list {
				if _, ok := all[name]; !ok {
					all[name] = m
				}
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { add(scraped(ctx, c.Prometheus)) })
		for _, u := range c.serviceMetrics(ctx) {
			wg.Go(func() { add(exposed(ctx, u)) })
		}
		wg.Wait()
		return all, nil
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

// read returns a response of at most maxMetadata.
func read(ctx context.Context, address string, parse func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := direct.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, resp.Status)
	}
	return parse(io.LimitReader(resp.Body, maxMetadata))
}

// scraped returns the metadata that Prometheus has.
func scraped(ctx context.Context, prometheus *url.URL) map[string]metricInfo {
	var found struct{ Data map[string][]metricInfo }
	err := read(ctx, prometheus.JoinPath("/api/v1/metadata").String(), func(r io.Reader) error { return json.NewDecoder(r).Decode(&found) })
	if err != nil {
		return nil
	}
	list := map[string]metricInfo{}
	for name, m := range found.Data {
		if len(m) > 0 {
			list[name] = m[0]
		}
	}
	return list
}

// exposed returns the metadata in the exposition format at an address.
func exposed(ctx context.Context, address string) map[string]metricInfo {
	list := map[string]metricInfo{}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	err := read(ctx, address, func(r io.Reader) error {
		families, err := parser.TextToMetricFamilies(r)
		for name, f := range families {
			list[name] = metricInfo{Type: strings.ToLower(f.GetType().String()), Unit: f.GetUnit(), Help: f.GetHelp()}
		}
		return err
	})
	if err != nil {
		return nil
	}
	return list
}

// Package metadata finds the type, unit and help of metrics.
package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxSize is the max size of Prometheus' metadata and of a service's metrics in bytes.
const maxSize = 8 << 20

// timeout is the timeout of each source.
const timeout = 3 * time.Second

// Metric is the metadata of a metric, as in Prometheus' /api/v1/metadata.
type Metric struct {
	Type string `json:"type"`
	Unit string `json:"unit"`
	Help string `json:"help"`
}

// Find returns the metadata of metrics by name. Prometheus knows that of the metrics which it scrapes;
// services send theirs as OTLP, but have the same ones in the exposition format at an address. A source that does not
// respond is left out: the metadata is only shown beside names.
func Find(ctx context.Context, client *http.Client, prometheus *url.URL, services []string) map[string]Metric {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	lists := make([]map[string]Metric, 1+len(services))
	var wg sync.WaitGroup
	wg.Go(func() { lists[0] = scraped(ctx, client, prometheus) })
	for i, u := range services {
		wg.Go(func() { lists[1+i] = exposed(ctx, client, u) })
	}
	wg.Wait()
	all := map[string]Metric{}
	for _, list := range slices.Backward(lists) { // the first source counts, whichever responds first
		maps.Copy(all, list)
	}
	return all
}

// read returns a response of at most maxSize.
func read(ctx context.Context, client *http.Client, address string, parse func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, resp.Status)
	}
	return parse(io.LimitReader(resp.Body, maxSize))
}

// scraped returns the metadata that Prometheus has.
func scraped(ctx context.Context, client *http.Client, prometheus *url.URL) map[string]Metric {
	var found struct{ Data map[string][]Metric }
	err := read(ctx, client, prometheus.JoinPath("/api/v1/metadata").String(), func(r io.Reader) error { return json.NewDecoder(r).Decode(&found) })
	if err != nil {
		return nil
	}
	list := map[string]Metric{}
	for name, m := range found.Data {
		if len(m) > 0 {
			list[name] = m[0]
		}
	}
	return list
}

// exposed returns the metadata in the exposition format at an address.
func exposed(ctx context.Context, client *http.Client, address string) map[string]Metric {
	list := map[string]Metric{}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	err := read(ctx, client, address, func(r io.Reader) error {
		families, err := parser.TextToMetricFamilies(r)
		for name, f := range families {
			list[name] = Metric{Type: strings.ToLower(f.GetType().String()), Unit: f.GetUnit(), Help: f.GetHelp()}
		}
		return err
	})
	if err != nil {
		return nil
	}
	return list
}

package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
)

func (l Lab) prometheus() Component {
	config := filepath.Join(l.State, "prometheus.yml")
	return Component{
		Name: "prometheus",
		Target: build.Target{Name: "prometheus", Module: "backends/prometheus",
			Package: "github.com/prometheus/prometheus/cmd/prometheus", Tags: "remove_all_sd",
			// The longest chain of packages, which its API's package waits for.
			Early: []string{"github.com/pb33f/libopenapi/datamodel/high/v3"}},
		BuildRank: 3,
		Version:   "github.com/prometheus/prometheus",
		Program:   obtain.Prometheus,
		Args: []string{
			"--config.file=" + config,
			"--storage.tsdb.path=" + l.data("prometheus"),
			"--storage.tsdb.retention.time=15d",
			"--storage.tsdb.retention.size=2GB",
			"--web.listen-address=" + l.addr(PrometheusPort),
			"--web.enable-otlp-receiver",
			"--enable-feature=exemplar-storage",
			// Start each series with a 0 at its start time: otherwise its first sample is
			// not counted as an increase.
			"--enable-feature=created-timestamp-zero-ingestion",
			"--log.format=json",
		},
		Env:     environ(nil),
		Ports:   []Port{l.port(PrometheusPort, "API and OTLP receiver")},
		Address: l.Prometheus(),
		Ready:   l.Prometheus() + "/-/ready",
		Setup:   func() error { return l.setupPrometheus(config) },
		Config:  []string{filepath.Join(l.Root, "backends/prometheus/prometheus.yml"), filepath.Join(l.Root, "dashboards/rules")},
	}
}

// setupPrometheus writes a configuration of Prometheus' own, and the rules beside
// it. Prometheus reads no environment: its own address, which it scrapes, is put
// into the copy.
func (l Lab) setupPrometheus(config string) error {
	b, err := os.ReadFile(filepath.Join(l.Root, "backends/prometheus/prometheus.yml"))
	if err != nil {
		return err
	}
	b = []byte(strings.ReplaceAll(string(b), "localhost:9090", l.addr(PrometheusPort)))
	if err := os.WriteFile(config, b, 0o644); err != nil {
		return err
	}
	// Recreate the folder: it must not have rules that were deleted.
	rules := filepath.Join(filepath.Dir(config), "rules")
	if err := os.RemoveAll(rules); err != nil {
		return err
	}
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(l.Root, "dashboards/rules/*.yml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no Prometheus rules in %s", filepath.Join(l.Root, "dashboards/rules"))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(rules, filepath.Base(file)), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

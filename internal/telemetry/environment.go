package telemetry

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"soundcheck/internal/telemetry/environment"
)

// checkEnvironment sets each variable of the specification to its used value, and returns the ignored ones.
func checkEnvironment() (list []environment.Ignored, err error) {
	list, use := environment.Check(os.Environ())
	for name, value := range use {
		if value == "" {
			err = errors.Join(err, os.Unsetenv(name))
		} else {
			err = errors.Join(err, os.Setenv(name, value))
		}
	}
	return list, err
}

// setDefaults sets unset standard variables.
func setDefaults(tool bool) error {
	interval := ""
	if tool {
		interval = "5000"
	}
	port := map[bool]string{true: "4317", false: "4318"}
	general := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == ""
	grpc := os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc"
	defaults := [][2]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:" + port[grpc]},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"},
		{"OTEL_GO_X_OBSERVABILITY", "true"},
		{"OTEL_GO_X_PER_SERIES_START_TIMESTAMPS", "true"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "32768"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048"},
		{"OTEL_BLRP_MAX_QUEUE_SIZE", "8192"},
		{"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "2048"},
		{"OTEL_METRIC_EXPORT_INTERVAL", interval},
		// The Go SDK uses the general limits only for spans.
		{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", textLimit},
		{"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", cmp.Or(os.Getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), textLimit)},
		{"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", os.Getenv("OTEL_ATTRIBUTE_COUNT_LIMIT")},
		{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", os.Getenv("OTEL_ATTRIBUTE_COUNT_LIMIT")},
		{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", os.Getenv("OTEL_ATTRIBUTE_COUNT_LIMIT")},
	}
	for _, s := range environment.Signals {
		// A signal with its own protocol has its own port.
		p := os.Getenv("OTEL_EXPORTER_OTLP_" + s + "_PROTOCOL")
		if own := p == "grpc"; general && p != "" && own != grpc {
			path := ""
			if !own {
				path = "/v1/" + strings.ToLower(s)
			}
			defaults = append(defaults, [2]string{"OTEL_EXPORTER_OTLP_" + s + "_ENDPOINT", "http://localhost:" + port[own] + path})
		}
	}
	for _, d := range defaults {
		if d[1] == "" || os.Getenv(d[0]) != "" {
			continue
		}
		if err := os.Setenv(d[0], d[1]); err != nil {
			return err
		}
	}
	return nil
}

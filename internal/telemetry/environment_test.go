package telemetry

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"soundcheck/internal/telemetry/environment"
)

// specification are the variables of the OpenTelemetry specification (v1.50.0,
// configuration/sdk-environment-variables.md and protocol/exporter.md), with a value that
// is right and one that is wrong. Without a right one it is not supported; without a wrong
// one, everything is right.
var specification = []struct{ name, right, wrong string }{
	{"OTEL_SDK_DISABLED", "TRUE", "yes"},
	{"OTEL_ENTITIES", "", "service{service.name=x}"},
	{"OTEL_RESOURCE_ATTRIBUTES", "a=b,c=%20", "nothing"},
	{"OTEL_SERVICE_NAME", "mine", ""},
	{"OTEL_LOG_LEVEL", "Debug", "loud"},
	{"OTEL_PROPAGATORS", "b3, tracecontext", "pigeon"},
	{"OTEL_TRACES_SAMPLER", "traceidratio", "jaeger_remote"},
	{"OTEL_TRACES_SAMPLER_ARG", "", "1.5"},
	{"OTEL_BSP_SCHEDULE_DELAY", "100", "5s"},
	{"OTEL_BSP_EXPORT_TIMEOUT", "100", "5s"},
	{"OTEL_BSP_MAX_QUEUE_SIZE", "100", "0"},
	{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10", "-1"},
	{"OTEL_BLRP_SCHEDULE_DELAY", "100", "5s"},
	{"OTEL_BLRP_EXPORT_TIMEOUT", "100", "5s"},
	{"OTEL_BLRP_MAX_QUEUE_SIZE", "100", "0"},
	{"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "10", "-1"},
	{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100", "long"},
	{"OTEL_ATTRIBUTE_COUNT_LIMIT", "100", "many"},
	{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100", "long"},
	{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "100", "many"},
	{"OTEL_SPAN_EVENT_COUNT_LIMIT", "100", "many"},
	{"OTEL_SPAN_LINK_COUNT_LIMIT", "100", "many"},
	{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "100", "many"},
	{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "100", "many"},
	{"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100", "long"},
	{"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "100", "many"},
	{"OTEL_TRACES_EXPORTER", "otlp,console", "zipkin"},
	{"OTEL_METRICS_EXPORTER", "none", "statsd"},
	{"OTEL_LOGS_EXPORTER", "otlp", "file"},
	{"OTEL_METRICS_EXEMPLAR_FILTER", "always_on", "sometimes"},
	{"OTEL_METRIC_EXPORT_INTERVAL", "1000", "1s"},
	{"OTEL_METRIC_EXPORT_TIMEOUT", "1000", "1s"},
	{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", "both"},
	{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", "none"},
	{"OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1", ""},
	{"OTEL_EXPORTER_PROMETHEUS_PORT", "0", "http"},
	{"OTEL_EXPORTER_ZIPKIN_ENDPOINT", "", "http://localhost:9411"},
	{"OTEL_EXPORTER_ZIPKIN_TIMEOUT", "", "1000"},
	{"OTEL_CONFIG_FILE", "", "otel.yaml"},
}

func init() {
	for _, p := range environment.Prefixes() {
		for _, v := range [][3]string{
			{"INSECURE", "true", "maybe"},
			{"ENDPOINT", "http://localhost:1", "ftp://localhost"},
			{"CERTIFICATE", "", "/nope.pem"},
			{"CLIENT_KEY", "", "/nope.pem"},
			{"CLIENT_CERTIFICATE", "", "/nope.pem"},
			{"HEADERS", "a=b,c=d%20e,", "secret"},
			{"COMPRESSION", "gzip", "zstd"},
			{"TIMEOUT", "1000", "1s"},
			{"PROTOCOL", "http/protobuf", "http/json"},
		} {
			specification = append(specification, struct{ name, right, wrong string }{p + v[0], v[1], v[2]})
		}
	}
}

// settings returns the settings that a log says are ignored, of one line at most.
func settings(t *testing.T, log string) []string {
	t.Helper()
	var all [][]string
	for line := range strings.Lines(log) {
		var l struct {
			Msg      string   `json:"msg"`
			Settings []string `json:"settings"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "telemetry settings ignored" {
			all = append(all, l.Settings)
		}
	}
	if len(all) > 1 {
		t.Errorf("%d lines about settings, want one:\n%s", len(all), log)
	}
	return slices.Concat(all...)
}

// Every variable of the specification is honoured, or named in one warning; none stops a
// program, or makes an error be taken for one of delivery.
func TestVariables(t *testing.T) {
	for _, v := range specification {
		for _, value := range []string{v.right, v.wrong} {
			if value == "" {
				continue
			}
			t.Run(v.name+"="+strings.ReplaceAll(value, "/", "_"), func(t *testing.T) {
				var log bytes.Buffer
				env := map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
				env[v.name] = value
				tel := setup(t, env, &log)
				if err := tel.Shutdown(t.Context()); err != nil && !strings.HasSuffix(v.name, "_EXPORTER") {
					t.Error(err)
				}
				list := settings(t, log.String())
				switch {
				case value == v.right && len(list) > 0:
					t.Errorf("ignored: %v", list)
				case value == v.wrong && (len(list) != 1 || !strings.HasPrefix(list[0], v.name)):
					t.Errorf("ignored: %v, want %s", list, v.name)
				case strings.Contains(log.String(), "secret"):
					t.Errorf("the log has a header: %s", &log)
				}
				if n, err := tel.Errors.Last(); n > 0 && !strings.HasSuffix(v.name, "_EXPORTER") {
					t.Errorf("%d errors of delivery: %v", n, err)
				}
			})
		}
	}
}

// With many invalid variables, the component runs, exports to its endpoint, and logs one warning.
func TestAllWrong(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	env, want := map[string]string{"OTEL_EXPORTER_OTLP_TRACE_ENDPOINT": "http://localhost:1"}, 1 // a slip of the pen
	for _, v := range specification {
		if v.wrong != "" {
			env[v.name] = v.wrong
			want++
		}
	}
	env["OTEL_EXPORTER_OTLP_ENDPOINT"] = strings.TrimPrefix(srv.URL, "http://")
	var log bytes.Buffer
	tel := setup(t, env, &log)
	_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := rec.spanNames(); !slices.Equal(got, []string{"work"}) {
		t.Errorf("spans %v, want work", got)
	}
	if list := settings(t, log.String()); len(list) != want-1 { // the endpoint is right
		t.Errorf("%d settings are ignored, want %d:\n%s", len(list), want-1, strings.Join(list, "\n"))
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log:\n%s, want one line", &log)
	}
}

// An endpoint without a scheme is http, or https where OTEL_EXPORTER_OTLP_INSECURE is false.
func TestEndpoint(t *testing.T) {
	for _, tt := range []struct {
		name, value, insecure string
		want                  string // "": it is wrong
	}{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "", "http://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "true", "http://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "false", "https://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "false", "http://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", " https://h/x ", "true", "https://h/x"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:1/v1/traces", "", "http://127.0.0.1:1/v1/traces"},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "[::1]:4318", "", "http://[::1]:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///tmp/otlp", "", "unix:///tmp/otlp"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://localhost:4317", "", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4317", "", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://local host", "", ""},
	} {
		clearVariables(t)
		t.Setenv(tt.name, tt.value)
		t.Setenv("OTEL_EXPORTER_OTLP_INSECURE", tt.insecure)
		list, err := checkEnvironment()
		if err != nil || os.Getenv(tt.name) != tt.want || len(list) > 0 != (tt.want == "") {
			t.Errorf("%s=%s, insecure %s: %q, %v, %v, want %q", tt.name, tt.value, tt.insecure, os.Getenv(tt.name), list, err, tt.want)
		}
		if os.Getenv("OTEL_EXPORTER_OTLP_INSECURE") != "" {
			t.Error("a secure or insecure URL can be contradicted")
		}
	}
}

func clearVariables(t *testing.T) {
	for _, name := range environment.Names() {
		t.Setenv(name, "")
	}
}

// A certificate is for https only, with which alone the exporters take it.
func TestCertificates(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h", "OTEL_EXPORTER_OTLP_CERTIFICATE": file}, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": file}, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_CERTIFICATE": file}, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://h", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": file}, ""},
	} {
		var log bytes.Buffer
		tel := setup(t, tt.env, &log)
		_ = tel.Shutdown(t.Context()) // nobody is there
		list := settings(t, log.String())
		if got := strings.Join(list, " "); (tt.want == "") != (got == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v: ignored %v, want %q", tt.env, list, tt.want)
		}
	}
}

func TestPropagators(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  []string
	}{
		{"", []string{"Traceparent"}},
		{"b3", []string{"B3"}},
		{"b3multi,tracecontext", []string{"Traceparent", "X-B3-Sampled", "X-B3-Spanid", "X-B3-Traceid"}},
		{"jaeger", []string{"Uber-Trace-Id"}},
		{"none", nil},
		{"pigeon", []string{"Traceparent"}},
		{"pigeon,b3", []string{"B3"}},
	} {
		tel := setup(t, map[string]string{"OTEL_PROPAGATORS": tt.value, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}, new(bytes.Buffer))
		ctx, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
		h := http.Header{}
		tel.Propagator.Inject(ctx, propagation.HeaderCarrier(h))
		span.End()
		var got []string
		for name := range h {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("OTEL_PROPAGATORS=%s: %v, want %v", tt.value, got, tt.want)
		}
	}
}

// The exporters of a list all export.
func TestExporterList(t *testing.T) {
	rec := new(receiver)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL, "OTEL_TRACES_EXPORTER": "otlp, console", "OTEL_LOGS_EXPORTER": "console,otlp"}
	tel := setup(t, env, new(bytes.Buffer))
	_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
	span.End()
	tel.Logger.Info("hello")
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if len(rec.spanNames()) != 1 || len(rec.logs) != 1 {
		t.Errorf("%v and %d batches of logs arrived", rec.spanNames(), len(rec.logs))
	}
	if e := newExporters(t.Context(), newRetrier()); len(e.spans) != 2 || len(e.logs) != 2 || len(e.readers) != 1 || len(e.failed) > 0 {
		t.Errorf("%d exporters of spans, %d of logs, %d of metrics; failed: %v", len(e.spans), len(e.logs), len(e.readers), e.failed)
	}
	if os.Getenv("OTEL_TRACES_EXPORTER") != "otlp,console" {
		t.Error("the variable is changed for good")
	}
}

// The general limits are those of each signal.
func TestLimits(t *testing.T) {
	clearVariables(t)
	t.Setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7")
	t.Setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "8")
	if err := setDefaults(false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "8",
		"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "8", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "8",
	} {
		if os.Getenv(name) != want {
			t.Errorf("%s=%s, want %q", name, os.Getenv(name), want)
		}
	}
	if got := limitOf("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"); got.limit != 7 {
		t.Errorf("limit of spans %v, want 7", got)
	}
}

// A signal that speaks another protocol than the others goes to that protocol's port.
func TestDefaultPorts(t *testing.T) {
	for _, tt := range []struct{ general, traces, want, wantTraces string }{
		{"", "", "http://localhost:4318", ""},
		{"grpc", "", "http://localhost:4317", ""},
		{"", "grpc", "http://localhost:4318", "http://localhost:4317"},
		{"grpc", "http/protobuf", "http://localhost:4317", "http://localhost:4318/v1/traces"},
	} {
		clearVariables(t)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", tt.general)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", tt.traces)
		if err := setDefaults(false); err != nil {
			t.Fatal(err)
		}
		if got, traces := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); got != tt.want || traces != tt.wantTraces {
			t.Errorf("protocol %q, of traces %q: %q and %q", tt.general, tt.traces, got, traces)
		}
	}
}

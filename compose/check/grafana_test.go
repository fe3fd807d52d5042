package check

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type source struct {
	Name, UID, Type, Access, URL string
	JSONData                     struct {
		ExemplarTraceIDDestinations []struct {
			Name, URL     string
			DatasourceUID string `yaml:"datasourceUid"`
		} `yaml:"exemplarTraceIdDestinations"`
		TracesToLogs struct {
			DatasourceUID string `yaml:"datasourceUid"`
			CustomQuery   bool   `yaml:"customQuery"`
			Query         string
			Tags          []struct{ Key, Value string }
		} `yaml:"tracesToLogsV2"`
		TracesToMetrics struct {
			DatasourceUID string `yaml:"datasourceUid"`
			Tags          []struct{ Key, Value string }
			Queries       []struct{ Query string }
		} `yaml:"tracesToMetrics"`
		DerivedFields []struct {
			MatcherType   string `yaml:"matcherType"`
			MatcherRegex  string `yaml:"matcherRegex"`
			URL           string
			DatasourceUID string `yaml:"datasourceUid"`
		} `yaml:"derivedFields"`
	} `yaml:"jsonData"`
}

// expand does with a file of data sources what Grafana does: ${NAME} is taken from the
// environment, $$ is a $.
func expand(t *testing.T, text string, env func(string) string) string {
	t.Helper()
	return regexp.MustCompile(`\$\$|\$\{\w+\}|\$\w+`).ReplaceAllStringFunc(text, func(m string) string {
		if m == "$$" {
			return "$"
		}
		v := env(strings.Trim(m, "${}"))
		if v == "" {
			t.Errorf("%s is not set", m)
		}
		return v
	})
}

// tagged returns the keys of which Grafana can make a link: those of a process or a span,
// in an answer that Jaeger gave.
func tagged(t *testing.T) map[string]bool {
	t.Helper()
	type tags []struct{ Key string }
	var answer struct {
		Data []struct {
			Spans     []struct{ Tags tags }
			Processes map[string]struct{ Tags tags }
		}
	}
	b, err := os.ReadFile("testdata/jaeger-trace.json")
	if err == nil {
		err = json.Unmarshal(b, &answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, trace := range answer.Data {
		for _, s := range trace.Spans {
			for _, tag := range s.Tags {
				keys[tag.Key] = true
			}
		}
		for _, p := range trace.Processes {
			for _, tag := range p.Tags {
				keys[tag.Key] = true
			}
		}
	}
	if !keys["deployment.environment.name"] || !keys["span.kind"] {
		t.Fatalf("the answer has the tags %v: is it one?", keys)
	}
	return keys
}

// Folders that the image has beside the provisioned ones stay.
func TestProvisioned(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, "full").Services["grafana"].Volumes {
		rest, ok := strings.CutPrefix(v.Target, "/etc/grafana/provisioning")
		if ok && rest != "/datasources" && rest != "/dashboards" {
			t.Errorf("%s hides what the image has there", v.Target)
		}
	}
}

// From a dot to its trace, from a span to its lines and back.
func TestDataSources(t *testing.T) {
	t.Parallel()
	grafana := load(t, "full").Services["grafana"]
	b, err := os.ReadFile("../../dashboards/provisioning/datasources/soundcheck.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Datasources []source }
	text := expand(t, regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(string(b), ""), func(name string) string { return value(grafana, name) })
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	by := map[string]source{}
	for _, s := range file.Datasources {
		by[s.UID] = s
		if s.Type != s.UID || s.Access != "proxy" || s.URL != value(grafana, "LAB_"+strings.ToUpper(s.UID)+"_URL") {
			t.Errorf("data source %+v", s)
		}
	}
	if len(by) != 3 {
		t.Fatalf("%d data sources, want prometheus, jaeger and loki", len(by))
	}
	logs, lines := by["jaeger"].JSONData.TracesToLogs, by["loki"].JSONData.DerivedFields
	if d := by["prometheus"].JSONData.ExemplarTraceIDDestinations; len(d) != 2 || d[0].Name != "trace_id" || d[0].DatasourceUID != "jaeger" ||
		d[1].Name != "trace_id" || d[1].URL != "http://127.0.0.1:16696/trace/${__value.raw}" || d[1].DatasourceUID != "" {
		t.Errorf("a dot leads to %+v", d)
	}
	if want := `{service_namespace="soundcheck"} | trace_id="${__trace.traceId}"`; logs.DatasourceUID != "loki" || !logs.CustomQuery || logs.Query != want {
		t.Errorf("a span leads to %+v, want %s", logs, want)
	}
	metrics := by["jaeger"].JSONData.TracesToMetrics
	if metrics.DatasourceUID != "prometheus" || len(metrics.Queries) != 2 {
		t.Errorf("a span leads to the metrics %+v", metrics)
	}
	for _, tag := range append(logs.Tags, metrics.Tags...) {
		if !tagged(t)[tag.Key] {
			t.Errorf("a link is made of the tag %s, which Jaeger's spans do not have: %v", tag.Key, tagged(t))
		}
	}
	// Grafana puts nothing but tags into a query of metrics.
	for _, q := range metrics.Queries {
		if strings.Contains(q.Query, "__span") || strings.Contains(q.Query, "$__tags") != (len(metrics.Tags) > 0) {
			t.Errorf("%s: it is not filled in", q.Query)
		}
	}
	if len(lines) != 1 || lines[0].MatcherType != "label" || lines[0].MatcherRegex != "trace_id" || lines[0].URL != "${__value.raw}" || lines[0].DatasourceUID != "jaeger" {
		t.Errorf("a line leads to %+v", lines)
	}
	// What a span's tags become must be a label in Loki.
	var loki struct {
		Limits struct {
			Structured bool   `yaml:"allow_structured_metadata"`
			Retention  string `yaml:"retention_period"`
			OTLP       struct {
				Resource struct {
					Attributes []struct {
						Action     string
						Attributes []string
					} `yaml:"attributes_config"`
				} `yaml:"resource_attributes"`
			} `yaml:"otlp_config"`
		} `yaml:"limits_config"`
		Compactor struct {
			Retention bool `yaml:"retention_enabled"`
		}
	}
	if b, err = os.ReadFile("../loki/config.yaml"); err == nil {
		err = yaml.Unmarshal(b, &loki)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !loki.Limits.Structured || loki.Limits.Retention == "" || !loki.Compactor.Retention {
		t.Errorf("Loki keeps no trace ids, or all for ever: %+v", loki)
	}
	labels := map[string]bool{}
	for _, c := range loki.Limits.OTLP.Resource.Attributes {
		for _, a := range c.Attributes {
			labels[strings.ReplaceAll(a, ".", "_")] = c.Action == "index_label"
		}
	}
	for _, m := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(strings.Split(logs.Query, "}")[0], -1) {
		if !labels[m[1]] {
			t.Errorf("a span's lines are looked for by %s, which is no label of Loki's: %v", m[1], labels)
		}
	}
}

package check

import (
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
			Name          string
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
	if d := by["prometheus"].JSONData.ExemplarTraceIDDestinations; len(d) != 1 || d[0].Name != "trace_id" || d[0].DatasourceUID != "jaeger" {
		t.Errorf("a dot leads to %+v", d)
	}
	if want := `{${__tags}} | trace_id="${__trace.traceId}"`; logs.DatasourceUID != "loki" || !logs.CustomQuery || logs.Query != want {
		t.Errorf("a span leads to %+v, want %s", logs, want)
	}
	if by["jaeger"].JSONData.TracesToMetrics.DatasourceUID != "prometheus" {
		t.Error("a span does not lead to the metrics of its service")
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
	for _, tag := range logs.Tags {
		if !labels[tag.Value] {
			t.Errorf("a span's lines are looked for by %s, which is no label of Loki's: %v", tag.Value, labels)
		}
	}
}

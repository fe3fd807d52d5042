package plan

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"soundcheck/internal/golden"
	"soundcheck/lab/obtain"
)

// Grafana has the settings of the one in compose.yaml, and none of the user's.
func TestGrafanaSettings(t *testing.T) {
	t.Setenv("GF_DATABASE_URL", "postgres://elsewhere")
	t.Setenv("GF_SERVER_HTTP_PORT", "80")
	l := Lab{Root: "/r", State: "/s", Offset: 100, Grafana: true}
	c := l.grafana()
	text, err := os.ReadFile("../../compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, service, ok := strings.Cut(string(text), "\n  grafana:\n")
	service, _, _ = strings.Cut(service, "\n    ports:")
	settings := regexp.MustCompile(`(?m)^      (GF_\w+): "?([^"\n]*)"?$`).FindAllStringSubmatch(service, -1)
	if !ok || len(settings) < 10 {
		t.Fatalf("compose.yaml has the settings %q; are they still found?", settings)
	}
	for _, m := range settings {
		if got, _ := value(c.Env, m[1]); got != m[2] {
			t.Errorf("%s=%q, in compose.yaml %q", m[1], got, m[2])
		}
	}
	for name, want := range map[string]string{
		"GF_DATABASE_URL":       "",
		"GF_SERVER_HTTP_ADDR":   "127.0.0.1",
		"GF_SERVER_HTTP_PORT":   "3100",
		"GF_PATHS_DATA":         "/s/data/grafana",
		"GF_PATHS_PLUGINS":      "/s/data/grafana/plugins",
		"GF_PATHS_PROVISIONING": "/s/provisioning",
		"LAB_PROMETHEUS_URL":    "http://127.0.0.1:9190",
		"LAB_JAEGER_URL":        "http://127.0.0.1:16797",
		"LAB_JAEGER_PAGE_URL":   "http://127.0.0.1:16796",
	} {
		if got, _ := value(c.Env, name); got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	args := append(slices.Clone(c.Args), c.FoundArgs(obtain.Found{Home: "/opt/grafana"})...)
	if want := []string{"server", "--config", "/s/grafana.ini", "--homepath", "/opt/grafana"}; !slices.Equal(args, want) {
		t.Errorf("arguments %q, want %q", args, want)
	}
	if c.Address != "http://127.0.0.1:3100" || c.Ready != "http://127.0.0.1:3100/api/health" {
		t.Errorf("address %s, probe %s", c.Address, c.Ready)
	}
}

// Grafana is a component only on request.
func TestGrafanaIsOptional(t *testing.T) {
	t.Parallel()
	for _, want := range []bool{false, true} {
		got := slices.ContainsFunc((Lab{Grafana: want}).Components(), func(c Component) bool { return c.Name == GrafanaName })
		if got != want {
			t.Errorf("with Grafana %t it is a component: %t", want, got)
		}
	}
}

// Grafana gets the data sources without Loki, and reads the dashboards where they are.
func TestGrafanaSetup(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), `folder "of" $HOME: 1`)
	if err := os.CopyFS(filepath.Join(root, "dashboards/provisioning"), os.DirFS("../../dashboards/provisioning")); err != nil {
		t.Fatal(err)
	}
	l := Lab{Root: root, State: t.TempDir(), Grafana: true}
	stale := filepath.Join(l.provisioning(), "datasources", "old.yml")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again at each start
		if err := l.grafana().Setup(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("a data source that was deleted is still there")
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(l.State, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	golden.Check(t, "testdata/grafana-datasources.yml", []byte(read("provisioning/datasources/soundcheck.yml")))
	parent := strings.ReplaceAll(filepath.Dir(root), "$", "$$")
	if got, want := read("provisioning/dashboards/soundcheck.yml"), `path: "`+parent+`/folder \"of\" $$HOME: 1/dashboards"`; !strings.Contains(got, want) {
		t.Errorf("the provider is\n%s, want %s", got, want)
	}
	if read("grafana.ini") == "" {
		t.Error("no configuration file")
	}
	if err := os.WriteFile(filepath.Join(root, "dashboards/provisioning/datasources/soundcheck.yml"), []byte("datasources: []\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.grafana().Setup(); err == nil || !strings.Contains(err.Error(), `soundcheck.yml: no line "  - name: Loki"`) {
		t.Errorf("with other data sources: %v", err)
	}
}

func TestWithoutBlock(t *testing.T) {
	t.Parallel()
	const text = "a:\n  # one\n  b:\n    c: 1\n\n    d: 2\n  e: 3\n"
	for line, want := range map[string]string{
		"  b:":   "a:\n  e: 3\n",
		"  e: 3": "a:\n  # one\n  b:\n    c: 1\n\n    d: 2\n",
		"a:":     "",
	} {
		if got, err := withoutBlock(text, line); err != nil || got != want {
			t.Errorf("withoutBlock(%q) = %q, %v, want %q", line, got, err, want)
		}
	}
	if _, err := withoutBlock(text, "b:"); err == nil {
		t.Error("no such line: no error")
	}
}

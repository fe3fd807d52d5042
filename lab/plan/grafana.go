package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
)

// GrafanaName is the name of the component that is no part of a lab unless requested.
const GrafanaName = "grafana"

// GrafanaURL returns Grafana's URL.
func (l Lab) GrafanaURL() string { return l.url(GrafanaPort) }

// grafana runs an installed Grafana, or a release, with the settings of compose/compose.yaml. Its
// configuration file is empty, so that settings of that installation have no effect.
func (l Lab) grafana() Component {
	config := filepath.Join(l.State, "grafana.ini")
	return Component{
		Name:    GrafanaName,
		Target:  build.Target{Name: GrafanaName}, // not built
		Program: obtain.Grafana,
		Args:    []string{"server", "--config", config},
		FoundArgs: func(f obtain.Found) []string {
			return []string{"--homepath", f.Home}
		},
		// The first start creates the database in hundreds of steps.
		Timeout: 5 * time.Minute,
		Env: append(withoutGrafana(environ(nil)),
			"LAB_PROMETHEUS_URL="+l.Prometheus(),
			"LAB_JAEGER_URL="+l.url(JaegerAPIPort),
			"LAB_JAEGER_PAGE_URL="+l.Jaeger(),
			"GF_AUTH_ANONYMOUS_ENABLED=true",
			"GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer",
			"GF_AUTH_DISABLE_LOGIN_FORM=true",
			"GF_AUTH_BASIC_ENABLED=false",
			"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION=true",
			"GF_USERS_ALLOW_SIGN_UP=false",
			"GF_USERS_VIEWERS_CAN_EDIT=true",
			"GF_ANALYTICS_REPORTING_ENABLED=false",
			"GF_ANALYTICS_CHECK_FOR_UPDATES=false",
			"GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false",
			"GF_NEWS_NEWS_FEED_ENABLED=false",
			"GF_PLUGINS_PREINSTALL_DISABLED=true",
			"GF_LOG_MODE=console",
			"GF_LOG_CONSOLE_FORMAT=json",
			"GF_LOG_LEVEL=warn",
			// What the image sets.
			"GF_SERVER_HTTP_ADDR=127.0.0.1",
			"GF_SERVER_HTTP_PORT="+strconv.Itoa(GrafanaPort+l.Offset),
			"GF_PATHS_DATA="+l.data(GrafanaName),
			"GF_PATHS_LOGS="+l.Logs(),
			"GF_PATHS_PLUGINS="+filepath.Join(l.data(GrafanaName), "plugins"),
			"GF_PATHS_PROVISIONING="+l.provisioning(),
		),
		Ports:   []Port{l.port(GrafanaPort, "pages")},
		Address: l.GrafanaURL(),
		Ready:   l.GrafanaURL() + "/api/health",
		Setup: func() error {
			if err := os.WriteFile(config, []byte("# lab up writes this file. The settings are in the environment.\n"), 0o644); err != nil {
				return err
			}
			return l.provisionGrafana()
		},
	}
}

// withoutGrafana removes settings that are for another Grafana.
func withoutGrafana(env []string) []string {
	var rest []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "GF_") {
			rest = append(rest, kv)
		}
	}
	return rest
}

// provisioning returns the folder of Grafana's data sources and dashboard provider.
func (l Lab) provisioning() string { return filepath.Join(l.State, "provisioning") }

// provisionGrafana writes the data sources and the dashboard provider of
// dashboards/provisioning. Grafana reads the dashboards from the repository. The native lab
// has no Loki: that data source is left out, and the links from a span to its log lines.
func (l Lab) provisionGrafana() error {
	if err := os.RemoveAll(l.provisioning()); err != nil {
		return err
	}
	// Grafana logs an error for each of these folders that is missing.
	for _, name := range []string{"datasources", "dashboards", "plugins", "alerting", "access-control"} {
		if err := os.MkdirAll(filepath.Join(l.provisioning(), name), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(l.data(GrafanaName), "plugins"), 0o755); err != nil {
		return err
	}
	for name, change := range map[string]func(string) (string, error){
		"datasources/soundcheck.yml": func(text string) (string, error) {
			text, err := withoutBlock(text, "  - name: Loki")
			if err != nil {
				return "", err
			}
			return withoutBlock(text, "      tracesToLogsV2:")
		},
		"dashboards/soundcheck.yml": func(text string) (string, error) {
			const path = "path: /var/lib/grafana/dashboards"
			if strings.Count(text, path) != 1 {
				return "", fmt.Errorf("no line %q", path)
			}
			// In quotes, as YAML has them in JSON; $ begins a variable of the environment.
			folder := strings.ReplaceAll(strconv.Quote(filepath.Join(l.Root, "dashboards")), "$", "$$")
			return strings.Replace(text, path, "path: "+folder, 1), nil
		},
	} {
		source := filepath.Join(l.Root, "dashboards", "provisioning", filepath.FromSlash(name))
		b, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		text, err := change(string(b))
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		if err := os.WriteFile(filepath.Join(l.provisioning(), filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// withoutBlock removes a line of YAML, the lines below it that are indented further, and the
// comment directly above it.
func withoutBlock(text, line string) (string, error) {
	indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	comment := func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), "#") }
	lines := strings.SplitAfter(text, "\n")
	for i, s := range lines {
		if strings.TrimSuffix(s, "\n") != line {
			continue
		}
		from, to := i, i+1
		for from > 0 && comment(lines[from-1]) {
			from--
		}
		for to < len(lines) && (strings.TrimSpace(lines[to]) == "" || indent(lines[to]) > indent(line)) {
			to++
		}
		return strings.Join(append(lines[:from:from], lines[to:]...), ""), nil
	}
	return "", fmt.Errorf("no line %q", line)
}

package dashboards

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/lab/build"
)

// promtool builds Prometheus' rule checker from the module of its server, into the lab's
// folder of binaries. That takes a minute, once.
var promtool = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	logs, err := os.MkdirTemp("", "promtool")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(logs)
	b := &build.Builder{Root: root, Bin: filepath.Join(root, ".lab", "bin"), Logs: logs}
	target := build.Target{Name: "promtool", Module: "backends/prometheus",
		Package: "github.com/prometheus/prometheus/cmd/promtool", Tags: "remove_all_sd"}
	if err := b.Build(context.Background(), target, &build.Progress{Begun: time.Now()}); err != nil {
		log, _ := os.ReadFile(b.Log(target))
		return "", fmt.Errorf("%w\n%s", err, log)
	}
	return b.Path(target), nil
})

func run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	path, err := promtool()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s, %v", pattern, err)
	}
	return files
}

// Prometheus accepts the rules, and their tests pass.
func TestRules(t *testing.T) {
	t.Parallel()
	if out, err := run(t, ".", append([]string{"check", "rules", "--lint-fatal"}, glob(t, "rules/*.yml")...)...); err != nil {
		t.Fatalf("check rules: %v\n%s", err, out)
	}
	for _, file := range glob(t, "rules/tests/*.yml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if out, err := run(t, ".", "test", "rules", file); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The rule tests can fail: with SLOs that no fault violates, no alert fires.
func TestRuleTestsCanFail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"slo.yml", "tests/slo.yml"} {
		b, err := os.ReadFile(filepath.Join("rules", name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "vector(0.999)", "vector(0)")
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := run(t, dir, "test", "rules", "--run", "a short fault", "tests/slo.yml")
	if err == nil || !strings.Contains(out, "SLOBurnNow") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Prometheus parses every query, with All and with selected values.
func TestQueries(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	chosen := map[string][]string{"environment": {"native"}, "service": {"proxy-service", `a"b\c`}, "route": {"/albums/:id", "/albums"}, "run": {"20260102T030405Z-abcd"}}
	var text strings.Builder
	n := 0
	add := func(expr string) {
		for _, vars := range []map[string][]string{nil, chosen} {
			n++
			// As a rule, because promtool checks rules only.
			fmt.Fprintf(&text, "      - record: q%d\n        expr: %q\n", n, Interpolate(expr, vars, 30*time.Minute, 10*time.Second))
		}
	}
	text.WriteString("groups:\n  - name: queries\n    rules:\n")
	for _, d := range all {
		for _, v := range d.Variables {
			add(asked.ReplaceAllString(v.Query, "$1"))
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				add(target.Expr)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, ".", "check", "rules", file)
	if err != nil || !strings.Contains(out, fmt.Sprintf("%d rules found", n)) {
		t.Errorf("of %d queries: %v\n%s", n, err, out)
	}
	if err := os.WriteFile(file, []byte(text.String()+"      - {record: broken, expr: 'sum('}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, ".", "check", "rules", file); err == nil {
		t.Errorf("a broken query was taken:\n%s", out)
	}
}

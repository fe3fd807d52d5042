package dashboards

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// object is a JSON object of a file.
type object = map[string]any

func at(o any, keys ...string) any {
	for _, k := range keys {
		m, _ := o.(object)
		o = m[k]
	}
	return o
}

func list(o any) []any { l, _ := o.([]any); return l }

// each runs f for each dashboard as a subtest.
func each(t *testing.T, f func(t *testing.T, d Dashboard, file object)) {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		t.Run(d.UID, func(t *testing.T) {
			t.Parallel()
			b, err := fs.ReadFile(FS(), d.File)
			if err != nil {
				t.Fatal(err)
			}
			var file object
			if err := json.Unmarshal(b, &file); err != nil {
				t.Fatal(err)
			}
			f(t, d, file)
		})
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, d := range all {
		got = append(got, d.UID)
		if want := fmt.Sprintf("%02d-%s.json", i+1, d.UID); d.File != want {
			t.Errorf("%s is in %s, want %s", d.UID, d.File, want)
		}
	}
	want := []string{"service-latency", "through-the-proxy", "load-test", "overload", "store", "go-runtime", "pipeline", "backends", "slo"}
	if !slices.Equal(got, want) {
		t.Errorf("dashboards %v, want %v", got, want)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	d, err := parse([]byte(`{"uid": "u", "title": "T", "templating": {"list": [{"name": "run", "type": "query", "current": {"value": "$__all"}}]},
		"panels": [{"id": 1, "type": "row", "title": "first"},
			{"id": 2, "type": "heatmap", "title": "a", "datasource": {"uid": "prometheus"}, "options": {"yAxis": {"unit": "s"}}, "soundcheck": {"mayBeEmpty": "why"},
				"targets": [{"refId": "A", "expr": "x", "exemplar": true}, {"refId": "B", "expr": "y", "datasource": {"uid": "other"}}]},
			{"id": 3, "type": "row", "title": "folded", "collapsed": true, "panels": [{"id": 4, "type": "stat", "fieldConfig": {"defaults": {"unit": "ops"}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) != 2 || len(d.Variables) != 1 || d.Variables[0].Default != "$__all" {
		t.Fatalf("%+v, want two panels and a variable that is All", d)
	}
	a, b := d.Panels[0], d.Panels[1]
	if a.Row != "first" || a.Unit != "s" || a.MayBeEmpty != "why" || len(a.Targets) != 2 || !a.Targets[0].Exemplar ||
		a.Targets[0].Datasource != "prometheus" || a.Targets[1].Datasource != "other" {
		t.Errorf("the first panel is %+v", a)
	}
	if b.Row != "folded" || b.Unit != "ops" || b.ID != 4 {
		t.Errorf("the second panel is %+v", b)
	}
	if _, err := parse([]byte("{")); err == nil {
		t.Error("half a file was read")
	}
}

var types = []string{"timeseries", "stat", "gauge", "bargauge", "table", "heatmap", "text"}

// Each panel has a title, a description and a unit.
func TestPanels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d Dashboard, file object) {
		if d.Title == "" || d.Description == "" || !slices.Contains(d.Tags, "soundcheck") {
			t.Errorf("title %q, description %q, tags %v; want all of them, and the tag soundcheck", d.Title, d.Description, d.Tags)
		}
		ids, titles := map[float64]bool{}, map[string]bool{}
		for _, p := range list(file["panels"]) { // rows too
			id, _ := at(p, "id").(float64)
			if id <= 0 || ids[id] {
				t.Errorf("panel %v: the id %v is none, or another's", at(p, "title"), at(p, "id"))
			}
			ids[id] = true
		}
		for _, p := range d.Panels {
			if !slices.Contains(types, p.Type) {
				t.Errorf("panel %d %q: type %q, want one of %v", p.ID, p.Title, p.Type, types)
			}
			if p.Title == "" || titles[p.Title] {
				t.Errorf("panel %d: its title %q is none, or another's", p.ID, p.Title)
			}
			titles[p.Title] = true
			if !strings.HasSuffix(p.Description, ".") {
				t.Errorf("panel %q: its description %q is no sentence", p.Title, p.Description)
			}
			if p.Row == "" {
				t.Errorf("panel %q stands in no row", p.Title)
			}
			if p.Type == "text" {
				continue
			}
			if p.Unit == "" {
				t.Errorf("panel %q has no unit", p.Title)
			}
			checkTargets(t, p)
		}
	})
}

func checkTargets(t *testing.T, p Panel) {
	t.Helper()
	if len(p.Targets) == 0 {
		t.Errorf("panel %q asks nothing", p.Title)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if target.RefID == "" || refs[target.RefID] || target.Expr == "" || target.Datasource != "prometheus" {
			t.Errorf("panel %q: %+v has no reference of its own, asks nothing, or not Prometheus", p.Title, target)
		}
		refs[target.RefID] = true
		want := map[string]string{"table": "table", "heatmap": "heatmap"}[p.Type]
		if target.Format != want || p.Type == "table" && !target.Instant {
			t.Errorf("panel %q is a %s: %+v", p.Title, p.Type, target)
		}
		if (p.Type == "timeseries" || p.Type == "stat" || p.Type == "bargauge" || p.Type == "gauge") && target.LegendFormat == "" {
			t.Errorf("panel %q: %s has no name in the legend", p.Title, target.RefID)
		}
	}
}

var (
	// counts matches functions over counters.
	counts = regexp.MustCompile(`\b(?:rate|increase|irate)\([\w:]+(?:\{[^}]*\})?\[[^\]]*\](?: anchored)?`)
	// gauges matches instant selectors and the text after them.
	gauges = regexp.MustCompile(`([a-zA-Z_][\w:]*)(\{[^}]*\})(\[| offset)?`)
)

// A range that is not anchored loses the first export of a new series. A single value is
// current: an instant query over components that sent metrics within the last minute.
// Prometheus itself ends the series that it scrapes and records.
func TestQueriesAreExact(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d Dashboard, _ object) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				for _, m := range counts.FindAllString(target.Expr, -1) {
					if !strings.HasSuffix(m, " anchored") {
						t.Errorf("panel %q: %s is not anchored", p.Title, m)
					}
				}
				if number := p.Type == "stat" || p.Type == "gauge" || p.Type == "bargauge"; number && !target.Instant {
					t.Errorf("panel %q is a %s and not instant: %s", p.Title, p.Type, target.RefID)
				}
				for _, m := range gauges.FindAllStringSubmatch(target.Expr, -1) {
					ends := strings.Contains(m[1], ":") || m[1] == "ALERTS" || strings.Contains(m[2], `job="prometheus"`)
					if m[3] == "" && !ends {
						t.Errorf("panel %q: %s is there for five minutes after its program; want last_over_time(…[1m])", p.Title, m[1])
					}
				}
			}
		}
	})
}

// Panels are in 24 columns and do not overlap.
func TestGrid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ Dashboard, file object) {
		taken := map[[2]int]any{}
		for _, p := range list(file["panels"]) {
			var pos [4]int
			for i, k := range []string{"x", "y", "w", "h"} {
				n, ok := at(p, "gridPos", k).(float64)
				if !ok {
					t.Fatalf("panel %v has no gridPos.%s", at(p, "title"), k)
				}
				pos[i] = int(n)
			}
			x, y, w, h := pos[0], pos[1], pos[2], pos[3]
			if x < 0 || y < 0 || w < 3 || h < 1 || x+w > 24 {
				t.Errorf("panel %v stands at %v", at(p, "title"), pos)
			}
			for dx := range w {
				for dy := range h {
					if other := taken[[2]int{x + dx, y + dy}]; other != nil {
						t.Fatalf("panel %v lies over %v", at(p, "title"), other)
					}
					taken[[2]int{x + dx, y + dy}] = at(p, "title")
				}
			}
		}
	})
}

var (
	used    = regexp.MustCompile(`\$\{?(\w+)\}?`)
	matched = regexp.MustCompile(`[a-z_]+=~"\$(\w+)"`)
	asked   = regexp.MustCompile(`^label_values\((.+), ([a-z_]+)\)$`)
)

// Variables are declared, used in label matchers, and accept All.
func TestVariables(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d Dashboard, _ object) {
		declared, uses := map[string]bool{}, map[string]bool{}
		use := func(where, expr string) {
			for _, m := range used.FindAllStringSubmatch(matched.ReplaceAllString(expr, ""), -1) {
				if !slices.Contains([]string{"__rate_interval", "__range", "__interval"}, m[1]) {
					t.Errorf("%s: $%s is no built-in that is known, or a variable that is not LABEL=~\"$%s\"", where, m[1], m[1])
				}
			}
			for _, m := range matched.FindAllStringSubmatch(expr, -1) {
				if uses[m[1]] = true; !declared[m[1]] {
					t.Errorf("%s: $%s is not declared", where, m[1])
				}
			}
		}
		for _, v := range d.Variables { // a variable may use those before it
			if !slices.Contains([]string{"environment", "service", "route", "run"}, v.Name) || v.Label == "" {
				t.Errorf("variable %q with the label %q", v.Name, v.Label)
			}
			if v.Type != "query" || !asked.MatchString(v.Query) || !v.Multi || !v.IncludeAll || v.AllValue != ".*" || v.Default != "$__all" {
				t.Errorf("variable %+v; want a query label_values(SERIES, LABEL), and All to begin with", v)
			}
			use("variable "+v.Name, v.Query)
			declared[v.Name] = true
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				use("panel "+p.Title, target.Expr)
			}
		}
		for name := range declared {
			if !uses[name] {
				t.Errorf("variable %s is not used", name)
			}
		}
	})
}

// Data sources and linked dashboards exist.
func TestReferences(t *testing.T) {
	t.Parallel()
	uids := map[string]bool{}
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		uids[d.UID] = true
	}
	provisioned := map[string]bool{}
	names, _ := fs.Glob(FS(), "provisioning/datasources/*.yml")
	for _, name := range names {
		b, _ := fs.ReadFile(FS(), name)
		for _, m := range regexp.MustCompile(`(?m)^    uid: (\w+)$`).FindAllSubmatch(b, -1) {
			provisioned[string(m[1])] = true
		}
	}
	if got := slices.Sorted(maps.Keys(provisioned)); !slices.Equal(got, []string{"jaeger", "loki", "prometheus"}) {
		t.Errorf("provisioned data sources %v", got)
	}
	checked := 0
	err = fs.WalkDir(FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(FS(), name)
		for _, m := range regexp.MustCompile(`[" ]/d/([\w-]+)`).FindAllSubmatch(b, -1) {
			if checked++; !uids[string(m[1])] {
				t.Errorf("%s links to /d/%s, which does not exist", name, m[1])
			}
		}
		if path.Ext(name) != ".json" {
			return err
		}
		for _, m := range regexp.MustCompile(`"uid": "([\w-]+)"\}`).FindAllSubmatch(b, -1) {
			if checked++; !provisioned[string(m[1])] {
				t.Errorf("%s: the data source %s is not provisioned", name, m[1])
			}
		}
		if !strings.Contains(string(b), `"type": "dashboards"`) || !strings.Contains(string(b), `"keepTime": true`) {
			t.Errorf("%s has no links to the other dashboards", name)
		}
		return err
	})
	if err != nil || checked < 100 {
		t.Errorf("%d references, %v; are they still found?", checked, err)
	}
}

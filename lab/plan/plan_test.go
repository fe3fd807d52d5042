package plan

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// value returns what a program sees of an environment variable: the last one.
func value(env []string, name string) (v string, ok bool) {
	for _, kv := range env {
		if n, val, _ := strings.Cut(kv, "="); n == name {
			v, ok = val, true
		}
	}
	return v, ok
}

func TestPorts(t *testing.T) {
	t.Parallel()
	seen := map[int]string{}
	for _, p := range (Lab{Offset: MaxOffset, Grafana: true}).Components() {
		for _, port := range p.Ports {
			if port.Number > 65535 || port.Number < MaxOffset {
				t.Errorf("%s: port %d is not moved by %d, or is no port", p.Name, port.Number, MaxOffset)
			}
			if other := seen[port.Number]; other != "" {
				t.Errorf("port %d is of %s and of %s", port.Number, other, p.Name)
			}
			seen[port.Number] = p.Name
		}
	}
	// No address of the first lab is left in one that is moved.
	for _, p := range (Lab{State: "/s", Root: "/r", Offset: 100, Grafana: true}).Components() {
		for _, text := range append(slices.Clone(p.Args), p.Ready, p.Address) {
			for _, first := range (Lab{Grafana: true}).Components() {
				for _, port := range first.Ports {
					if strings.Contains(text, (Lab{}).addr(port.Number)) {
						t.Errorf("%s of the second lab: %q is of the first", p.Name, text)
					}
				}
			}
		}
	}
}

// The database is the state folder's unless another is named, and its password is
// in no argument and not shown.
func TestDatabase(t *testing.T) {
	t.Parallel()
	for db, want := range map[string][2]string{
		"":                             {"sqlite:/s/data/album-store/albums.db", "sqlite:/s/data/album-store/albums.db"},
		"memory":                       {"memory", "memory"},
		"postgres://me:a@secret@h/d":   {"postgres://me:a@secret@h/d", "postgres://me@h/d"},
		"postgres://me:secret@h/d?x=y": {"postgres://me:secret@h/d?x=y", "postgres://me@h/d"},
	} {
		l := Lab{State: "/s", DB: db}
		p := l.store()
		if got, _ := value(p.Env, "SOUNDCHECK_STORE_DB"); got != want[0] || l.Database() != want[1] || strings.Contains(strings.Join(p.Args, " "), "secret") {
			t.Errorf("-db %q: the store gets %q and %v, shown is %q, want %q", db, got, p.Args, l.Database(), want)
		}
	}
}

// The store has the lab's database, and not those whose libraries take long to compile. What
// differs has a name of its own, so that it is not built again after a switch.
func TestStoreTarget(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for db, want := range map[string]struct{ name, tags string }{
		"memory":           {"album-store-memory", "nomsgpack,nodatabase"},
		"":                 {"album-store-sqlite", "nomsgpack,nopostgres"},
		"sqlite:/s/a.db":   {"album-store-sqlite", "nomsgpack,nopostgres"},
		"postgres://h/d":   {"album-store", "nomsgpack"},
		"postgresql://h/d": {"album-store", "nomsgpack"},
	} {
		p := (Lab{State: "/s", DB: db}).store()
		if p.Target.Name != want.name || p.Target.Tags != want.tags || p.Target.Package != "./store" || p.BuildRank != 0 {
			t.Errorf("-db %q: %+v, want %+v", db, p.Target, want)
		}
		if tags, ok := names[p.Target.Name]; ok && tags != p.Target.Tags {
			t.Errorf("%s is built with %s and with %s", p.Target.Name, tags, p.Target.Tags)
		}
		names[p.Target.Name] = p.Target.Tags
	}
	if full := FullStore(); full.Name != StoreName || full.Tags != ginTags {
		t.Errorf("the full store is %+v", full)
	}
}

// Components come after those they need.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, l := range []Lab{{}, {Grafana: true}, {Stores: []string{"http://h:1"}}} {
		var before []string
		for _, p := range l.Components() {
			for _, need := range p.Needs {
				if !slices.Contains(before, need) {
					t.Errorf("%s comes before %s, which it needs", p.Name, need)
				}
			}
			before = append(before, p.Name)
		}
	}
}

// Only the Collector's receivers listen beyond loopback, and only with OTLPEverywhere.
func TestOTLPEverywhere(t *testing.T) {
	t.Parallel()
	for _, everywhere := range []bool{false, true} {
		l := Lab{Offset: 7, OTLPEverywhere: everywhere}
		var got []string
		for _, p := range l.Components() {
			for _, s := range append(p.Env, p.Args...) {
				if strings.Contains(s, "0.0.0.0") {
					got = append(got, s)
				}
			}
		}
		var want []string
		if everywhere {
			want = []string{"COLLECTOR_OTLP_GRPC_ADDR=0.0.0.0:4324", "COLLECTOR_OTLP_HTTP_ADDR=0.0.0.0:4325"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("OTLPEverywhere %t: open are %q, want %q", everywhere, got, want)
		}
		if l.OTLP() != "http://127.0.0.1:4325" {
			t.Errorf("OTLP() = %s", l.OTLP())
		}
	}
}

// A lab whose album stores run elsewhere has none, and all else; its proxy calls them.
func TestStores(t *testing.T) {
	t.Parallel()
	names := func(l Lab) (list []string) {
		for _, p := range l.Components() {
			list = append(list, p.Name)
		}
		return list
	}
	l := Lab{State: "/s", Stores: []string{"http://127.0.0.1:9080", "https://h:1/a"}}
	want := slices.DeleteFunc(names(Lab{}), func(name string) bool { return name == StoreName })
	if got := names(l); !slices.Equal(got, want) || len(want) != 5 {
		t.Errorf("programs %q, want %q", got, want)
	}
	if l.Database() != "" {
		t.Errorf("the database of somebody else's stores is said to be %q", l.Database())
	}
	for _, tt := range []struct {
		lab  Lab
		want string
	}{{l, "http://127.0.0.1:9080,https://h:1/a"}, {Lab{}, "http://127.0.0.1:9080"}, {Lab{Offset: 7}, "http://127.0.0.1:9087"}} {
		p := tt.lab.proxy()
		if i := slices.Index(p.Args, "-store"); i < 0 || p.Args[i+1] != tt.want {
			t.Errorf("the proxy gets %q, want -store %s", p.Args, tt.want)
		}
	}
	for _, p := range l.Components() {
		for _, port := range p.Ports {
			if port.Number == StorePort || port.Number == storeAdminPort {
				t.Errorf("%s takes port %d, where the store is that runs elsewhere", p.Name, port.Number)
			}
		}
	}
}

// The services' telemetry goes to the lab's Collector whatever the user's
// environment says; other settings of the user win over the lab's.
func TestEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4318")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://elsewhere:4318")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_SERVICE_NAME", "mine")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "1000")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "")
	t.Setenv("HTTP_PROXY", "http://kept")
	t.Setenv("SOUNDCHECK_LAB_DB", "postgres://me:secret@h/d")
	l := Lab{Offset: 100}
	for _, tt := range []struct {
		p    Component
		want map[string]string // "-": not there
	}{
		{l.store(), map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT":        "http://127.0.0.1:4418",
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "-",
			"OTEL_EXPORTER_OTLP_HEADERS":         "-",
			"OTEL_TRACES_EXPORTER":               "-",
			"OTEL_SERVICE_NAME":                  "-",
			"OTEL_RESOURCE_ATTRIBUTES":           "team=blue,deployment.environment.name=native",
			"OTEL_TRACES_SAMPLER":                "always_off",
			"OTEL_METRIC_EXPORT_INTERVAL":        "1000",
			"OTEL_BSP_SCHEDULE_DELAY":            "500",
			"HTTP_PROXY":                         "http://kept",
		}},
		{l.collector(), map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "-",
			"OTEL_RESOURCE_ATTRIBUTES":    "-",
			"OTEL_TRACES_SAMPLER":         "-",
			"SOUNDCHECK_LAB_DB":           "-",
			"COLLECTOR_OTLP_HTTP_ADDR":    "127.0.0.1:4418",
			"HTTP_PROXY":                  "http://kept",
		}},
		{l.jaeger(), map[string]string{"OTEL_TRACES_SAMPLER": "always_off", "OTEL_RESOURCE_ATTRIBUTES": "-"}},
	} {
		for name, want := range tt.want {
			got, ok := value(tt.p.Env, name)
			if !ok {
				got = "-"
			}
			if got != want {
				t.Errorf("%s sees %s=%q, want %q", tt.p.Name, name, got, want)
			}
		}
	}
}

// Prometheus gets a configuration with its own address, and the rules that are
// there now, where the configuration looks for them.
func TestPrometheusSetup(t *testing.T) {
	t.Parallel()
	l := Lab{Root: "../..", State: t.TempDir(), Offset: 100}
	stale := filepath.Join(l.State, "rules", "old.yml")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("groups: []"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.prometheus().Setup(); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(l.State, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1:9190", "  - rules/*.yml\n"} {
		if !strings.Contains(string(config), want) {
			t.Errorf("the configuration lacks %q", want)
		}
	}
	want, err := filepath.Glob("../../dashboards/rules/*.yml")
	if err != nil || len(want) == 0 {
		t.Fatalf("rules %v, %v", want, err)
	}
	got, err := filepath.Glob(filepath.Join(l.State, "rules/*.yml"))
	if err != nil || len(got) != len(want) {
		t.Fatalf("in the state folder %v, %v; want copies of %v", got, err, want)
	}
	for i := range want {
		a, _ := os.ReadFile(want[i])
		b, _ := os.ReadFile(got[i])
		if string(a) != string(b) || len(a) == 0 {
			t.Errorf("%s is no copy of %s", got[i], want[i])
		}
	}
	if err := (Lab{Root: t.TempDir(), State: l.State}).prometheus().Setup(); err == nil {
		t.Error("without its files Prometheus could be set up")
	}
}

// A program is built anew when what it is made of changes: each package of this module
// that it imports is in one of its source folders.
func TestSources(t *testing.T) {
	t.Parallel()
	for _, p := range (Lab{}).Components() {
		if p.Target.Module != "." {
			continue
		}
		cmd := exec.Command("go", "list", "-deps", "-tags="+p.Target.Tags, "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}", p.Target.Package)
		cmd.Dir = "../.."
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		for _, pkg := range strings.Fields(string(out)) {
			dir := strings.TrimPrefix(pkg, "soundcheck/")
			if !slices.ContainsFunc(p.Target.Sources, func(s string) bool { return dir == s || strings.HasPrefix(dir, s+"/") }) {
				t.Errorf("%s imports %s, which is in none of its sources %v", p.Name, pkg, p.Target.Sources)
			}
		}
	}
}

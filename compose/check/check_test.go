package check

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, name string, env ...string) *types.Project {
	t.Helper()
	i := slices.IndexFunc(Combinations, func(c Combination) bool { return c.Name == name })
	p, err := Load(t.Context(), root(t), Combinations[i], env...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCombinations(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, c := range Combinations {
		for _, f := range c.Files {
			used[f] = true
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			p := load(t, c.Name)
			if got := slices.Sorted(maps.Keys(p.Services)); !slices.Equal(got, c.Services) {
				t.Errorf("services %v, want %v", got, c.Services)
			}
			for _, problem := range Check(root(t), p) {
				t.Error(problem)
			}
			for _, s := range p.Services {
				if local := strings.Contains(c.Name, "local"); local != strings.HasSuffix(s.Image, ":local") {
					t.Errorf("%s has the image %s", s.Name, s.Image)
				}
			}
		})
	}
	files, err := filepath.Glob("../*.yaml")
	if err != nil || len(files) != len(used) {
		t.Errorf("%d of %d files are in a combination, %v", len(used), len(files), err)
	}
}

// Ports are those of the native lab, and each can be moved.
func TestPorts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		combination string
		want        map[string]string // variable: default
	}{
		{"full", map[string]string{"PROXY_PORT": "9070", "GRAFANA_PORT": "3000", "JAEGER_PORT": "16696", "PROMETHEUS_PORT": "9090",
			"OTLP_GRPC_PORT": "4317", "OTLP_HTTP_PORT": "4318"}},
		{"limited with edge and console", map[string]string{"PROXY_PORT": "9070", "GRAFANA_PORT": "3000", "JAEGER_PORT": "16696",
			"PROMETHEUS_PORT": "9090", "OTLP_GRPC_PORT": "4317", "OTLP_HTTP_PORT": "4318", "CONSOLE_PORT": "3300", "EDGE_PORT": "8070"}},
		{"local", map[string]string{"PROXY_PORT": "9070", "JAEGER_API_PORT": "16697", "TRACES_PORT": "16696", "PROMETHEUS_PORT": "9090",
			"OTLP_GRPC_PORT": "4317", "OTLP_HTTP_PORT": "4318", "CONSOLE_PORT": "3300"}},
		{"store", map[string]string{"STORE_PORT": "9080"}},
	} {
		var env, want, moved []string
		for name, port := range tt.want {
			n, _ := strconv.Atoi(port)
			other := strconv.Itoa(n + 10000)
			env, want, moved = append(env, name+"="+other), append(want, port), append(moved, other)
		}
		for _, c := range []struct{ env, want []string }{{nil, want}, {env, moved}} {
			var got []string
			for _, s := range load(t, tt.combination, c.env...).Services {
				for _, p := range s.Ports {
					got = append(got, p.Published)
				}
			}
			if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
				t.Errorf("%s with %v publishes %v, want %v", tt.combination, c.env, got, c.want)
			}
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../*.yaml")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		problems, err := Variables(b)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, problem := range problems {
			t.Errorf("%s: %s", file, problem)
		}
	}
	for text, want := range map[string]int{
		"a: $X": 1, "a: ${X}": 1, "a: ${X-}": 1, "a: ${X:-}": 0, "a: ${X:-1}": 0, "a: ${X:?set X}": 0, "a: $$X": 0,
		"a: [{b: !reset {c: '${X}'}}]": 1,
	} {
		if got, err := Variables([]byte(text)); len(got) != want || err != nil {
			t.Errorf("Variables(%q) = %v, %v; want %d", text, got, err, want)
		}
	}
}

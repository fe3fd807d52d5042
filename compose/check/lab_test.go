package check

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// combination is one way to use the files.
type combination struct {
	files    string // in compose/, later ones over earlier ones
	profiles string
	services string // that it consists of, sorted
}

var combinations = map[string]combination{
	"full":                          {"compose.yaml", "", "album-store-1 album-store-2 grafana jaeger loki otel-collector postgres prepare prometheus proxy-service"},
	"full with edge":                {"compose.yaml", "edge", "album-store-1 album-store-2 grafana jaeger loki nginx otel-collector postgres prepare prometheus proxy-service"},
	"full with console":             {"compose.yaml", "console", "album-store-1 album-store-2 console grafana jaeger loki otel-collector postgres prepare prometheus proxy-service"},
	"local":                         {"compose.yaml local.yaml", "", "album-store-1 album-store-2 console jaeger otel-collector postgres prepare prometheus proxy-service"},
	"limited":                       {"compose.yaml limited.yaml", "", "grafana jaeger loki otel-collector prepare prometheus proxy-service"},
	"limited with edge and console": {"compose.yaml limited.yaml", "edge console", "console grafana jaeger loki nginx otel-collector prepare prometheus proxy-service"},
	"limited, local":                {"compose.yaml local.yaml limited.yaml", "", "console jaeger otel-collector prepare prometheus proxy-service"},
	"store":                         {"store.yaml", "", "album-store-1 postgres prepare"},
	"store local":                   {"store.yaml store-local.yaml", "", "album-store-1 postgres prepare"},
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// load reads the files of a combination as docker compose does, and more files over them.
// No variable is set.
func load(t *testing.T, name string, more ...string) *types.Project {
	t.Helper()
	folder, c := filepath.Join(root(t), "compose"), combinations[name]
	var files []string
	for _, f := range strings.Fields(c.files) {
		files = append(files, filepath.Join(folder, f))
	}
	o, err := cli.NewProjectOptions(append(files, more...), cli.WithWorkingDirectory(folder),
		cli.WithProfiles(strings.Fields(c.profiles)), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCombinations(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for name, c := range combinations {
		for _, f := range strings.Fields(c.files) {
			used[f] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := load(t, name)
			if got := strings.Join(slices.Sorted(maps.Keys(p.Services)), " "); got != c.services {
				t.Errorf("services %s, want %s", got, c.services)
			}
			for _, problem := range problems(root(t), p) {
				t.Error(problem)
			}
			for _, s := range p.Services {
				if local := strings.Contains(name, "local"); local != strings.HasSuffix(s.Image, ":local") {
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

// Nothing has to be set or made before docker compose up: each variable has a default.
func TestVariables(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../*.yaml")
	variables := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(string(b), "")
		variables += strings.Count(text, "$")
		for _, m := range regexp.MustCompile(`\$\{?\w+(:-)?`).FindAllStringSubmatch(text, -1) {
			if m[1] == "" {
				t.Errorf("%s: %s has no default", file, m[0])
			}
		}
	}
	if variables < 20 {
		t.Errorf("%d variables in %q: are they still found?", variables, files)
	}
}

package check

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	chart3 "helm.sh/helm/v3/pkg/chart"
	loader3 "helm.sh/helm/v3/pkg/chart/loader"
	chartutil3 "helm.sh/helm/v3/pkg/chartutil"
	engine3 "helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart4 "helm.sh/helm/v4/pkg/chart/v2"
	loader4 "helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil4 "helm.sh/helm/v4/pkg/chart/v2/util"
	engine4 "helm.sh/helm/v4/pkg/engine"
)

const chartDir, loadDir = "../charts/soundcheck", "../charts/soundcheck-load"

// release is one installation of a chart.
type release struct {
	name, namespace string
	chart           string // folder; "" for chartDir
	revision        int
	cluster         engine4.ClientProvider // for lookup; nil: as helm template, which finds nothing
	lacks           int                    // how many of served, from the last one, the cluster lacks
	noSchema        bool                   // helm --skip-schema-validation
	parent          string                 // name of a chart that has this one as its dependency; "" for none
}

func (r release) dir() string { return cmp.Or(r.chart, chartDir) }

var lab = release{name: "lab", namespace: "demo", revision: 1}

// served are API versions of a cluster with Gateway API.
var served = []string{"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1/HTTPRoute", "gateway.networking.k8s.io/v1/GRPCRoute"}

func (r release) apis(known []string) []string {
	return append(slices.Clone(known), served[:len(served)-r.lacks]...)
}

// parse reads values as Helm does.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values, err := loader4.LoadValues(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return values
}

// render4 renders the chart with these values as Helm 4 does.
func render4(t *testing.T, r release, values string) (map[string]string, error) {
	t.Helper()
	c, err := loader4.LoadDir(r.dir())
	if err != nil {
		t.Fatal(err)
	}
	if r.parent != "" {
		parent := &chart4.Chart{Metadata: &chart4.Metadata{APIVersion: "v2", Name: r.parent, Version: "1.0.0", Dependencies: []*chart4.Dependency{
			{Name: c.Name(), Version: c.Metadata.Version, Condition: c.Name() + ".enabled"},
		}}}
		parent.AddDependency(c)
		c = parent
	}
	v := common.Values(parse(t, values))
	if err := chartutil4.ProcessDependencies(c, v); err != nil {
		return nil, err
	}
	caps := common.DefaultCapabilities.Copy()
	caps.APIVersions = r.apis(caps.APIVersions)
	version, err := common.ParseKubeVersion("v1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	caps.KubeVersion = *version
	top, err := util.ToRenderValuesWithSchemaValidation(c, v, common.ReleaseOptions{
		Name: r.name, Namespace: r.namespace, Revision: r.revision, IsInstall: r.revision == 1, IsUpgrade: r.revision > 1,
	}, caps, r.noSchema)
	if err != nil {
		return nil, err
	}
	if r.cluster != nil {
		return engine4.RenderWithClientProvider(c, top, r.cluster)
	}
	return engine4.Render(c, top)
}

// render3 renders the chart with these values as Helm 3 does.
func render3(t *testing.T, r release, values string) (map[string]string, error) {
	t.Helper()
	c, err := loader3.LoadDir(r.dir())
	if err != nil {
		t.Fatal(err)
	}
	if r.parent != "" {
		parent := &chart3.Chart{Metadata: &chart3.Metadata{APIVersion: "v2", Name: r.parent, Version: "1.0.0", Dependencies: []*chart3.Dependency{
			{Name: c.Name(), Version: c.Metadata.Version, Condition: c.Name() + ".enabled"},
		}}}
		parent.AddDependency(c)
		c = parent
	}
	v, err := chartutil3.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	if err := chartutil3.ProcessDependenciesWithMerge(c, v); err != nil {
		return nil, err
	}
	caps := chartutil3.DefaultCapabilities.Copy()
	caps.APIVersions = r.apis(caps.APIVersions)
	version, err := chartutil3.ParseKubeVersion("v1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	caps.KubeVersion = *version
	top, err := chartutil3.ToRenderValues(c, v, chartutil3.ReleaseOptions{
		Name: r.name, Namespace: r.namespace, Revision: r.revision, IsInstall: r.revision == 1, IsUpgrade: r.revision > 1,
	}, caps)
	if err != nil {
		return nil, err
	}
	if r.cluster != nil {
		return engine3.RenderWithClientProvider(c, top, r.cluster)
	}
	return engine3.Render(c, top)
}

// separator is Helm's.
var separator = regexp.MustCompile(`(?m)^---[ \t]*`)

// documents returns the YAML documents of a rendered chart, without notes and empty ones.
func documents(files map[string]string) (all []document) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(filepath.Base(name), "_") || strings.HasSuffix(name, "NOTES.txt") {
			continue
		}
		for _, text := range separator.Split(files[name], -1) {
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					all = append(all, document{name, text})
					break
				}
			}
		}
	}
	return all
}

type document struct{ file, text string }

// registry are values that a chart always needs: the images are published nowhere.
const registry = "images: {registry: registry.example/lab}\n"

// must returns the documents of a rendered chart.
func must(t *testing.T, r release, values string) []document {
	t.Helper()
	files, err := render4(t, r, values)
	if err != nil {
		t.Fatal(err)
	}
	return documents(files)
}

// configurations returns the values of each way to install the chart, by name.
func configurations(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files in ci, %v", len(files), err)
	}
	all := map[string]string{"defaults": registry}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = string(b)
	}
	return all
}

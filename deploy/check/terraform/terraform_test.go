package terraform

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"sigs.k8s.io/yaml"
)

// pages are the root modules, and the page of each.
var pages = map[string]string{"gke": "../../../docs/gke.md", "eks": "../../../docs/eks.md", "release": root + "/README.md"}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestModules(t *testing.T) {
	t.Parallel()
	for name, page := range pages {
		m := load(t, name)
		lock := read(t, filepath.Join(root, name, ".terraform.lock.hcl"))
		for _, problems := range [][]string{m.problems, format(m), references(m), variables(m, read(t, page)), pinned(m, []byte(lock)), secrets(m), policy(m)} {
			for _, p := range problems {
				t.Errorf("%s: %s", name, p)
			}
		}
		if len(m.of("variable")) < 5 || len(m.of("output")) < 2 || len(m.of("resource")) == 0 {
			t.Errorf("%s: %d variables, %d outputs, %d resources: more were written", name, len(m.of("variable")), len(m.of("output")), len(m.of("resource")))
		}
	}
}

// Both clouds have the outputs that go run ./deploy reads.
func TestOutputs(t *testing.T) {
	t.Parallel()
	source := read(t, "../../cloud/cloud.go")
	names := regexp.MustCompile("json:\"([a-z_]+)\"").FindAllStringSubmatch(source, -1)
	if len(names) < 8 {
		t.Fatalf("outputs in deploy/cloud: %q", names)
	}
	for _, cloud := range []string{"gke", "eks"} {
		m := load(t, cloud)
		for _, n := range names {
			if m.blocks["output."+n[1]] == nil {
				t.Errorf("%s has no output %s", cloud, n[1])
			}
		}
	}
	m := load(t, "release")
	for _, v := range regexp.MustCompile(`"([a-z_]+)":`).FindAllStringSubmatch(regexp.MustCompile(`vars := map.*`).FindString(source), -1) {
		if m.blocks["variable."+v[1]] == nil {
			t.Errorf("release has no variable %s", v[1])
		}
	}
}

// ECR creates no repository by itself: there is one for each image that deploy push pushes.
func TestRepositories(t *testing.T) {
	t.Parallel()
	var ours []string
	for _, m := range regexp.MustCompile(`"([a-z-]+)"`).FindAllStringSubmatch(regexp.MustCompile(`(?m)^var ours = .*$`).FindString(read(t, "../../push.go")), -1) {
		ours = append(ours, m[1])
	}
	slices.Sort(ours)
	var got []string
	each := load(t, "eks").blocks["resource.aws_ecr_repository.lab"].Body.Attributes["for_each"]
	v, diags := each.Expr.Value(&hcl.EvalContext{Functions: map[string]function.Function{"toset": identity}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, e := range v.AsValueSlice() {
		got = append(got, e.AsString())
	}
	if len(ours) < 5 || !slices.Equal(got, ours) {
		t.Errorf("repositories %q, want %q", got, ours)
	}
}

var identity = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "v", Type: cty.DynamicPseudoType}},
	Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0], nil },
})

var toString = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "v", Type: cty.Number}},
	Type:   function.StaticReturnType(cty.String),
	Impl:   func(args []cty.Value, t cty.Type) (cty.Value, error) { return convert.Convert(args[0], t) },
})

// The pools of both clouds have the labels and the taint that the values files expect.
func TestPools(t *testing.T) {
	t.Parallel()
	var workers struct {
		Worker struct {
			NodeSelector map[string]string
			Tolerations  []map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/load-pool.yaml")), &workers); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"key": "soundcheck/pool", "operator": "Equal", "value": "load", "effect": "NoSchedule"}
	if !maps.Equal(workers.Worker.NodeSelector, map[string]string{"soundcheck/pool": "load"}) || len(workers.Worker.Tolerations) != 1 || !maps.Equal(workers.Worker.Tolerations[0], want) {
		t.Fatalf("load-pool.yaml: %+v", workers)
	}
	var lab struct {
		Pods struct{ NodeSelector map[string]string }
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/release/values.yaml")), &lab); err != nil || !maps.Equal(lab.Pods.NodeSelector, map[string]string{"soundcheck/pool": "lab"}) {
		t.Errorf("values.yaml: %+v, %v", lab, err)
	}

	gke := load(t, "gke")
	for _, pool := range []string{"lab", "load"} {
		body := gke.blocks["resource.google_container_node_pool."+pool].Body
		if !is(arg(body, "node_config.labels"), cty.ObjectVal(map[string]cty.Value{"soundcheck/pool": cty.StringVal(pool)})) {
			t.Errorf("gke: pool %s has other labels", pool)
		}
		taint := map[string]string{}
		for _, name := range []string{"key", "value", "effect"} {
			if v := constant(arg(body, "node_config.taint."+name)); v != cty.NilVal {
				taint[name] = v.AsString()
			}
		}
		tainted := map[string]string{"key": "soundcheck/pool", "value": "load", "effect": "NO_SCHEDULE"}
		if pool == "lab" && len(taint) > 0 || pool == "load" && !maps.Equal(taint, tainted) {
			t.Errorf("gke: taint of pool %s: %v", pool, taint)
		}
	}

	eks := load(t, "eks")
	ctx := &hcl.EvalContext{Functions: map[string]function.Function{"tostring": toString}, Variables: map[string]cty.Value{
		"var": cty.ObjectVal(map[string]cty.Value{"lab_nodes_max": cty.NumberIntVal(2), "load_nodes_max": cty.NumberIntVal(5)})}}
	pools, diags := eks.locals["pools"].Value(ctx)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	ctx.Variables["local"] = cty.ObjectVal(map[string]cty.Value{"pools": pools})
	v, diags := eks.locals["node_pools"].Value(ctx)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	text, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		t.Fatal(err)
	}
	var nodePools []struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct {
			Limits   map[string]string
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     struct {
					Taints       []map[string]string
					Requirements []struct {
						Key, Operator string
						Values        []string
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &nodePools); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"lab", "load"} {
		p := nodePools[i]
		delete(want, "operator")
		taints := p.Spec.Template.Spec.Taints
		if p.Kind != "NodePool" || p.Metadata.Name != name || p.Spec.Template.Metadata.Labels["soundcheck/pool"] != name || len(p.Spec.Template.Spec.Requirements) != 4 ||
			p.Spec.Limits["cpu"] != []string{"8", "20"}[i] || len(taints) != i || i == 1 && !maps.Equal(taints[0], want) {
			t.Errorf("eks: pool %s: %+v", name, p)
		}
	}
}

// Pages and README say what was not done.
func TestNoPlan(t *testing.T) {
	t.Parallel()
	for _, page := range []string{pages["gke"], pages["eks"], pages["release"], "../../../README.md"} {
		if text := strings.Join(strings.Fields(read(t, page)), " "); !strings.Contains(text, "no `plan` was run") && !strings.Contains(text, "No `plan` was run") {
			t.Errorf("%s does not say that no plan was run", page)
		}
	}
}

package check

import (
	"os"
	"slices"
	"testing"
)

// cloudValues reads a values file of deploy/terraform.
func cloudValues(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../terraform/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The values of deploy/terraform/release put every pod on the nodes of the lab, with either database.
func TestCloudValues(t *testing.T) {
	t.Parallel()
	values := merge(t, "images: {registry: us-central1-docker.pkg.dev/p}", cloudValues(t, "release/values.yaml"))
	for _, database := range []string{
		"database: {kind: postgres}",
		"database: {kind: postgres, postgres: {mode: external, existingSecret: soundcheck-database}}",
	} {
		objects, wrong := decode(must(t, release{name: "soundcheck", namespace: "soundcheck", revision: 1}, merge(t, values, database)))
		for _, p := range append(wrong, problems(objects, "soundcheck", "soundcheck-database")...) {
			t.Errorf("%s: %s", database, p)
		}
		pods := 0
		for _, o := range objects {
			if o.pod == nil {
				continue
			}
			pods++
			if o.pod.Spec.NodeSelector["soundcheck/pool"] != "lab" {
				t.Errorf("%s: %s has the node labels %v", database, o, o.pod.Spec.NodeSelector)
			}
		}
		if pods < 8 {
			t.Errorf("%s: %d objects with pods", database, pods)
		}
	}
}

// load-pool.yaml puts the workers on the tainted nodes for load, and not the coordinator.
func TestCloudLoad(t *testing.T) {
	t.Parallel()
	objects, wrong := decode(must(t, loadTest, merge(t, loadImage, cloudValues(t, "load-pool.yaml"))))
	for _, p := range append(wrong, problems(objects, loadTest.namespace)...) {
		t.Error(p)
	}
	var tainted []bool
	for _, o := range objects {
		if o.pod != nil {
			tainted = append(tainted, o.pod.Spec.NodeSelector["soundcheck/pool"] == "load" && len(o.pod.Spec.Tolerations) == 1)
		}
	}
	slices.SortFunc(tainted, func(a, b bool) int { return map[bool]int{true: 1}[a] - map[bool]int{true: 1}[b] })
	if !slices.Equal(tainted, []bool{false, true}) {
		t.Errorf("pods on the nodes for load: %v, want one of two", tainted)
	}
}

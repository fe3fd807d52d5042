package debugging

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const pageFile = "../../../docs/kubernetes-debugging.md"

// entries of the page.
func entries(t *testing.T) []Entry {
	t.Helper()
	text, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Each entry can be followed, and has a fault that proves it on a cluster.
func TestPage(t *testing.T) {
	t.Parallel()
	all := entries(t)
	if len(all) != len(faults) {
		t.Errorf("%d entries, %d faults", len(all), len(faults))
	}
	for _, e := range all {
		for _, p := range e.Problems() {
			t.Error(p)
		}
		if _, ok := faults[e.Title]; !ok {
			t.Errorf("%s: no fault in faults_test.go", e.Title)
		}
	}
}

const good = "## 1. A\n\nSymptom:\n\n```text\nBackOff …\n```\n\nCommands:\n\n```sh\nkubectl get pods\n```\n\nCause: one\ntwo.\n\nFix:\n\n```sh\ngo run ./lab doctor\n```\n"

func TestParse(t *testing.T) {
	t.Parallel()
	all, err := Parse("# Title\n\n```sh\nmake k8s-up\n```\n\n" + good)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	e := all[0]
	if e.Title != "A" || e.Cause != "one two." || !slices.Equal(e.Commands, []string{"kubectl get pods"}) || !slices.Equal(e.Fix, []string{"go run ./lab doctor"}) {
		t.Errorf("%+v", e)
	}
	if p := e.Problems(); len(p) > 0 {
		t.Error(p)
	}
	for _, tc := range []struct{ old, new, want string }{
		{"## 1.", "## 2.", "want number 1"},
		{"Symptom:", "Seen:", "a block of code after"},
		{"one\ntwo.", "", "has no Cause"},
		{"BackOff …\n", "", "has no Symptom"},
		{"kubectl get pods\n", "", "has no Commands"},
		{"go run ./lab doctor\n", "", "has no Fix"},
		{"kubectl get pods", "docker ps", "only kubectl, helm and go run ./lab"},
		{"kubectl get pods", "kubectl get pods | grep x", "no shell"},
		{"kubectl get pods", "kubectl get 'pods", "no closing"},
		{"kubectl get pods", "helm list", "has no deploy/charts/soundcheck"},
		{"doctor\n```\n", "doctor\n", "has no end"},
	} {
		text := strings.Replace(good, tc.old, tc.new, 1)
		if text == good {
			t.Errorf("%q is not in the page", tc.old)
		}
		all, err := Parse(text)
		said := ""
		if err != nil {
			said = err.Error()
		} else {
			for _, e := range all {
				said += strings.Join(e.Problems(), "\n")
			}
		}
		if !strings.Contains(said, tc.want) {
			t.Errorf("%q for %q: got %q, want %q", tc.new, tc.old, said, tc.want)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	e := Entry{Symptom: []string{"Reason: OOMKilled", "pull … not found (x)"}}
	for output, want := range map[string]int{
		"  Reason:    \t OOMKilled\npull image a:b: not found (x)": 0,
		"Reason: Error\npull image not found (x)":                  1,
		"pull\nnot found (x)":                                      2,
	} {
		if got := e.Missing(output); len(got) != want || len(e.Present(output)) != 2-want {
			t.Errorf("%q: missing %q, want %d", output, got, want)
		}
	}
}

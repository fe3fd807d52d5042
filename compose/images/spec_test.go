package images

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instructions returns the instructions of a Dockerfile, continued lines joined.
func instructions(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	var list []string
	for line := range strings.Lines(joined) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// said returns what a Dockerfile says after an instruction, once.
func said(t *testing.T, name, instruction string) string {
	t.Helper()
	i := slices.IndexFunc(instructions(t, name), func(line string) bool { return strings.HasPrefix(line, instruction+" ") })
	if i < 0 {
		return ""
	}
	return strings.TrimPrefix(instructions(t, name)[i], instruction+" ")
}

// An image is the same, whoever packs it.
func TestSpecsAreTheDockerfiles(t *testing.T) {
	t.Parallel()
	label := regexp.MustCompile(`([\w.]+)="([^"]*)"`)
	for file, spec := range map[string]Spec{
		"../Dockerfile":          programSpec("album-store", "program"),
		"../postgres/Dockerfile": postgresSpec("dir", "17.6"),
	} {
		entrypoint, err := json.Marshal(spec.Entrypoint)
		if err != nil {
			t.Fatal(err)
		}
		for instruction, want := range map[string]string{"USER": spec.User, "STOPSIGNAL": spec.StopSignal, "ENV": strings.Join(spec.Env, " ")} {
			if got := said(t, file, instruction); got != want {
				t.Errorf("%s: %s is %q, the spec has %q", file, instruction, got, want)
			}
		}
		if got := said(t, file, "ENTRYPOINT"); strings.ReplaceAll(got, " ", "") != string(entrypoint) {
			t.Errorf("%s: ENTRYPOINT is %s, the spec has %s", file, got, entrypoint)
		}
		for _, m := range label.FindAllStringSubmatch(said(t, file, "LABEL"), -1) {
			if !strings.Contains(m[2], "$") && spec.Labels[m[1]] != m[2] {
				t.Errorf("%s: label %s is %q, the spec has %q", file, m[1], m[2], spec.Labels[m[1]])
			}
		}
		last := spec.Layers[len(spec.Layers)-1]
		if !strings.HasSuffix(strings.Join(spec.Entrypoint, " "), "/"+last.Path) {
			t.Errorf("%s: the last layer has %s, which %s does not start", file, last.Path, spec.Entrypoint)
		}
	}
}

// Titles and sources of local.yaml's images are those of Specs.
func TestSpecsAreComposes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../local.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range others {
		if want := "TITLE: " + o.title + `, SOURCE: "` + o.source + `"`; !strings.Contains(string(text), want) {
			t.Errorf("local.yaml does not have %q for %s", want, name)
		}
	}
}

// Without Docker: the root of PostgreSQL's image and its entrypoint are two layers.
func TestSpecs(t *testing.T) {
	const script = "exit 1 # nobody makes it"
	b := newBuilder(t, script)
	b.Alternatives = "sqlite"
	dir := filepath.Join(b.Dir, "postgres")
	specs := func() ([]Spec, error) { return b.Specs(t.Context(), []string{"prepare", "postgres"}) }
	if os.Getuid() != 0 {
		if _, err := specs(); err == nil || !strings.HasSuffix(err.Error(), "; or sqlite") {
			t.Errorf("without a root: %v", err)
		}
	}
	for name, content := range map[string]string{"": "tar", ".version": "17.12-0\n", ".sum": sumOf(script)} {
		write(t, filepath.Join(dir, "root.tar"+name), content)
	}
	got, err := specs()
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if got[0].Name != "labtool" || got[0].Labels["org.opencontainers.image.revision"] != "unknown" || got[1].Labels["org.opencontainers.image.version"] != "17.12-0" {
		t.Errorf("%+v", got)
	}
	for _, s := range got {
		for _, l := range s.Layers {
			if _, err := os.Stat(l.Tar + l.File); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}

package check

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The chart's copies of the lab's configuration are up to date.
func TestFiles(t *testing.T) {
	t.Parallel()
	const fix = "run deploy/charts/files.sh"
	out, err := exec.Command("sh", "../charts/files.sh", "-n").Output()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(chartDir, "files")
	var copies []string
	for line := range strings.Lines(string(out)) {
		from, to, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			t.Fatalf("files.sh -n: %q", line)
		}
		copies = append(copies, to)
		want, err := os.ReadFile(filepath.Join("..", "..", from))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, to)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s (%v): %s", filepath.Join(folder, to), from, err, fix)
		}
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name, _ := filepath.Rel(folder, path); !slices.Contains(copies, filepath.ToSlash(name)) {
			t.Errorf("%s is not in deploy/charts/files.sh: remove it, or add it there and %s", path, fix)
		}
		return nil
	})
	if err != nil || len(copies) < 20 {
		t.Errorf("%d files, %v", len(copies), err)
	}
}

// Each file of the chart is used by a template.
func TestFilesAreUsed(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	templates, _ := filepath.Glob(filepath.Join(chartDir, "templates", "*"))
	for _, name := range templates {
		if b, err := os.ReadFile(name); err == nil {
			text.Write(b)
		}
	}
	err := filepath.WalkDir(filepath.Join(chartDir, "files"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(chartDir, path)
		glob := filepath.Join(filepath.Dir(name), "*"+filepath.Ext(name))
		if !strings.Contains(text.String(), `"`+name+`"`) && !strings.Contains(text.String(), `"`+glob+`"`) {
			t.Errorf("no template uses %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Images of the chart have the versions of Compose.
func TestImageVersions(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compose := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s+image: ([\w./-]+):(\S+)`).FindAllStringSubmatch(string(b), -1) {
		compose[m[1]] = m[2]
	}
	b, err = os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(b, &values); err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(path string, v map[string]any)
	walk = func(path string, v map[string]any) {
		repository, ok := v["repository"].(string)
		if !ok {
			for key, v := range v {
				if v, ok := v.(map[string]any); ok {
					walk(path+"."+key, v)
				}
			}
			return
		}
		found++
		want := compose[repository]
		got := v["tag"].(string)
		if d := v["digest"].(string); d != "" {
			got += "@" + d
		}
		switch {
		case want == "dev": // ours; images.tag or appVersion
			want = ""
		case repository == "postgres":
			// Compose stays with 17, as its volumes do. The chart has no volumes yet.
			if !strings.HasPrefix(got, "18.") || !strings.Contains(got, "@sha256:") {
				t.Errorf("%s is %s, want 18 with a digest", path, got)
			}
			return
		}
		if got != want {
			t.Errorf("%s: %s has version %q, compose/compose.yaml has %q", path, repository, got, want)
		}
	}
	walk("", values)
	if found < 10 {
		t.Errorf("only %d images in values.yaml", found)
	}
}

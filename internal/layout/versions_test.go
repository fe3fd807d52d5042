package layout

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// All modules of the repository have one go directive, so that one toolchain builds all of them.
func TestGoDirective(t *testing.T) {
	t.Parallel()
	directive := regexp.MustCompile(`(?m)^(?:go|toolchain) .*$`)
	files := map[string][]string{}
	sources(t, func(path string, text []byte) {
		line := strings.Join(directive.FindAllString(string(text), -1), ", ")
		files[line] = append(files[line], path)
	}, ".mod")
	if len(files) != 1 {
		t.Errorf("want the same go directive in every go.mod, and no toolchain line: %q", files)
	}
}

// Workflows use actions by commit: a tag can be moved.
func TestActions(t *testing.T) {
	t.Parallel()
	workflows, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(workflows) == 0 {
		t.Fatal("no workflows: ", err)
	}
	uses := regexp.MustCompile(`(?m)^.*\buses: *(.*)$`)
	pinned := regexp.MustCompile(`^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	versions := map[string]string{}
	for _, name := range workflows {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range uses.FindAllStringSubmatch(string(text), -1) {
			action, _, _ := strings.Cut(m[1], "@")
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s uses %s, want ACTION@COMMIT # vX.Y.Z", name, m[1])
			}
			if other := versions[action]; other != "" && other != m[1] {
				t.Errorf("%s uses %s and %s", name, other, m[1])
			}
			versions[action] = m[1]
		}
	}
}

package layout

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Limits of size, in lines. A package is its files without tests.
const (
	maxFile    = 350
	maxPackage = 2000
)

// large are the files and packages that may be larger, each with the reason.
var large = map[string]string{
	"lab/verify":     "one table of rules, and one check for each signal; nothing else imports it",
	"loadgen/report": "one type with its parts: how it is built, merged, stored, and written in four formats",
}

// generated are files that a tool writes.
var generated = []string{"collector/distribution/components.go", "collector/distribution/main.go"}

// sources calls see for each file of the repository with one of these extensions.
func sources(t *testing.T, see func(path string, text []byte), extensions ...string) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "dist") {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains(extensions, filepath.Ext(name)) || slices.Contains(generated, name) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			see(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Files and packages stay small enough to be read at once.
func TestSize(t *testing.T) {
	t.Parallel()
	packages, excused := map[string]int{}, map[string]bool{}
	check := func(name string, lines, limit int) {
		if lines <= limit {
			return
		}
		if large[name] == "" {
			t.Errorf("%s has %d lines, at most %d are wanted: split it, or add it to large with a reason", name, lines, limit)
		}
		excused[name] = true
	}
	sources(t, func(name string, text []byte) {
		lines := bytes.Count(text, []byte("\n"))
		check(name, lines, maxFile)
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			dir, _ := filepath.Split(name)
			packages[strings.TrimSuffix(dir, "/")] += lines
		}
	}, ".go", ".js", ".css", ".html", ".sh")
	for name, lines := range packages {
		check(name, lines, maxPackage)
	}
	for name := range large {
		if !excused[name] {
			t.Errorf("%s is small enough by now: remove it from large", name)
		}
	}
	if len(packages) < 30 {
		t.Errorf("only %d packages were found", len(packages))
	}
}

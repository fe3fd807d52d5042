package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/internal/cli/clitest"
)

// A store that is built without a database serves with those that it has. Whatever needs another
// is an error that says how to build a store with it.
func TestTags(t *testing.T) {
	t.Parallel()
	const memoryOnly = "this store was built without databases (-tags nodatabase) and has only memory; build it without the tag: go build ./store\n"
	const noPostgres = "this store was built without PostgreSQL (-tags nopostgres); build it without the tag: go build ./store\n"
	for tags, tt := range map[string]struct {
		serves string
		fails  map[string]string // arguments → stderr
	}{
		"nodatabase": {"memory", map[string]string{
			"-db sqlite:albums.db":            "store: -db: " + memoryOnly,
			"-db postgres://me:secret@h/d":    "store: -db: " + memoryOnly,
			"migrate up -db sqlite:albums.db": "store: migrate: " + memoryOnly,
		}},
		"nopostgres": {"sqlite:" + filepath.Join(t.TempDir(), "albums.db"), map[string]string{
			"-db postgres://me:secret@h/d":              "store: -db: " + noPostgres,
			"migrate status -db postgres://me:secret@h": "store: -db: " + noPostgres,
		}},
	} {
		t.Run(tags, func(t *testing.T) {
			t.Parallel()
			path, err := build(tags)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(filepath.Dir(path)) })
			p := &process{addr: clitest.FreeAddr(t), path: path}
			p.start(t, tt.serves)
			p.kill()
			for args, want := range tt.fails {
				cmd := exec.Command(path, strings.Fields(args)...)
				cmd.Dir = t.TempDir()
				out, err := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.HasPrefix(string(out), want) || strings.Contains(string(out), "secret") {
					t.Errorf("store %s: exit code %d, %v, %s, want 2, %s", args, code, err, out, want)
				}
			}
		})
	}
}

package images

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
)

// fake is a docker command that keeps the label of an image in a file, and what it was
// asked to build, with the files that it was sent.
const fake = `#!/bin/sh
case "$1" in
image) cat "$CALLS.$(echo "$5" | tr / _)" ;;
build)
	if [ -e "$CALLS.fail" ]; then echo "no space left"; exit 1; fi
	echo "$*" >>"$CALLS"
	tar -t >>"$CALLS"
	while [ $# -gt 0 ]; do
		case "$1" in
		--tag) tag=$(echo "$2" | tr / _) ;;
		INPUTS=*) inputs=${1#INPUTS=} ;;
		esac
		shift
	done
	echo "$inputs" >"$CALLS.$tag" ;;
esac
`

type world struct {
	*Builder
	t     *testing.T
	calls string
	said  bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, calls: filepath.Join(dir, "calls")}
	w.Builder = &Builder{Programs: &build.Builder{Root: filepath.Join(dir, "repo"), Bin: filepath.Join(dir, "bin"), Logs: dir, Platform: "linux/amd64"},
		Dir: filepath.Join(dir, "images"), Version: "v1.2.3-4-gabc", Revision: "abc", Progress: cli.NewProgress(&w.said)}
	w.write("docker", fake, "..")
	w.write("go.mod", "module soundcheck\n\ngo 1.26\n")
	w.write("go.sum", "")
	w.write("compose/Dockerfile", "FROM scratch\n")
	w.write("compose/labtool/main.go", "package main\n\nfunc main() {}\n")
	w.write("internal/cli/cli.go", "package cli\n")
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("CALLS", w.calls)
	return w
}

// write writes a file of the repository.
func (w *world) write(name, content string, below ...string) {
	w.t.Helper()
	path := filepath.Join(w.Programs.Root, filepath.Join(below...), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// built returns what docker was asked to build.
func (w *world) built() []string {
	b, _ := os.ReadFile(w.calls)
	os.Remove(w.calls)
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func TestProgram(t *testing.T) {
	w := newWorld(t)
	must := func() {
		t.Helper()
		if err := w.Build(t.Context(), []string{"labtool"}); err != nil {
			t.Fatal(err)
		}
	}
	must()
	got := w.built()
	for _, want := range []string{"build --tag soundcheck/labtool:local --build-arg INPUTS=", " --target packaged --build-arg FILE=program ",
		"TITLE=Tools of", "VERSION=v1.2.3-4-gabc ", "REVISION=abc "} {
		if !strings.Contains(got[0], want) {
			t.Errorf("docker %s, want %s in it", got[0], want)
		}
	}
	if !slices.Equal(got[1:], []string{"Dockerfile", "program"}) {
		t.Errorf("the engine was sent %q, want the program alone", got[1:])
	}
	must()
	if got := w.built(); got[0] != "" {
		t.Errorf("what is up to date was built again: %q", got)
	}
	w.write("compose/labtool/main.go", "package main\n\nfunc main() { println() }\n")
	must()
	if got := w.built(); got[0] == "" {
		t.Error("the program changed, and the image was not built")
	}
	w.write("compose/Dockerfile", "FROM scratch\n\n")
	must()
	if got := w.built(); got[0] == "" {
		t.Error("the Dockerfile changed, and the image was not built")
	}
}

func TestFails(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.calls+".fail", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := w.Build(t.Context(), []string{"labtool"})
	log := filepath.Join(w.Dir, "labtool.log")
	if want := "image soundcheck/labtool:local: building the image: exit status 1; see " + log; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if b, err := os.ReadFile(log); err != nil || string(b) != "no space left\n" {
		t.Errorf("the log has %q, %v", b, err)
	}
	w.write("compose/labtool/main.go", "package main\n\nfunc main() { missing() }\n")
	if err := w.Build(t.Context(), []string{"labtool"}); err == nil || !strings.HasPrefix(err.Error(), "build labtool: ") || !strings.Contains(err.Error(), "; see ") {
		t.Errorf("a program that does not compile: %v", err)
	}
	if err := w.Build(t.Context(), []string{"grafana"}); err == nil || err.Error() != "nobody knows how to build the image grafana" {
		t.Errorf("an image of somebody else's: %v", err)
	}
}

// Every program of the native lab has an image, of the same program.
func TestPrograms(t *testing.T) {
	t.Parallel()
	for name, im := range programs("/r") {
		if im.target.Package == "" || im.title == "" {
			t.Errorf("%s has no program or title: %+v", name, im)
		}
		if (im.module == "") != (im.source == "") {
			t.Errorf("%s: somebody else's program has a module %q and a source %q", name, im.module, im.source)
		}
	}
}

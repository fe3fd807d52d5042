package build

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// goFirst is the go command that the tests find first. It waits before it builds
// a module as long as a file MODULE.hold stands beside the module's folder, and
// adds a line to MODULE.calls, if that is there, for each call.
const goFirst = `#!/bin/sh
if [ -e "$PWD.calls" ]; then echo "begin $1" >>"$PWD.calls"; fi
while [ "$1" = build ] && [ -e "$PWD.hold" ]; do sleep 0.02; done
%q "$@"
code=$?
if [ -e "$PWD.calls" ]; then echo "end $1" >>"$PWD.calls"; fi
exit $code
`

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "go")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	real, err := exec.LookPath("go")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), fmt.Appendf(nil, goFirst, real), 0o755); err != nil {
		panic(err)
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

var hello = Target{Name: "hello", Module: "hello", Package: "./cmd", Sources: []string{"cmd", "text"}}

// newBuilder returns a builder in a repository with one module, hello.
func newBuilder(t *testing.T) *Builder {
	t.Helper()
	dir := t.TempDir()
	b := &Builder{Root: dir, Bin: filepath.Join(dir, "bin"), Logs: dir}
	write(t, b, "go.mod", "module hello\n\ngo 1.26\n")
	write(t, b, "go.sum", "")
	write(t, b, "cmd/main.go", "package main\n\nimport \"hello/text\"\n\nfunc main() { print(text.Text) }\n")
	write(t, b, "text/text.go", "package text\n\nconst Text = `one`\n")
	return b
}

func write(t *testing.T, b *Builder, path, content string) {
	t.Helper()
	path = filepath.Join(b.Root, "hello", path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustBuild(t *testing.T, b *Builder) *Progress {
	t.Helper()
	p := new(Progress)
	if err := b.Build(t.Context(), hello, p); err != nil {
		t.Fatalf("Build: %v\n%s", err, read(t, b.Log(hello)))
	}
	wantClean(t, b)
	return p
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// output runs the program that was built.
func output(t *testing.T, b *Builder) string {
	t.Helper()
	out, err := exec.Command(b.Path(hello)).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// wantClean fails if Bin holds anything but what a build is for.
func wantClean(t *testing.T, b *Builder) {
	t.Helper()
	entries, err := os.ReadDir(b.Bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Name() {
		case ".hello.lock", "hello", "hello.sum":
		default:
			t.Errorf("%s is left in the folder of the programs", e.Name())
		}
	}
}

// eventually waits for a condition; the limit is only for the case that it never holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 5 minutes", what)
		}
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	if b.Fresh(hello) {
		t.Error("Fresh before the first build")
	}
	// Another test's program of the same sources would be in the compiler's cache.
	write(t, b, "text/text.go", fmt.Sprintf("package text\n\nconst Text, Own = `one`, %q\n", b.Root))
	p := mustBuild(t, b)
	if got := output(t, b); got != "one" {
		t.Errorf("the program prints %q, want %q", got, "one")
	}
	if !b.Fresh(hello) {
		t.Error("not Fresh after a build")
	}
	// At least the module's own two packages are compiled.
	if done, total := p.Done.Load(), p.Total.Load(); done < 2 || total != done {
		t.Errorf("progress: %d of %d packages, want at least 2 of as many", done, total)
	}

	write(t, b, "text/text.go", "package text\n\nconst Text = `two`\n")
	if b.Fresh(hello) {
		t.Error("Fresh after a source changed")
	}
	if got := output(t, b); got != "one" {
		t.Errorf("before it is built anew the program prints %q, want %q", got, "one")
	}
	mustBuild(t, b)
	if got := output(t, b); got != "two" {
		t.Errorf("the program prints %q, want %q", got, "two")
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	mustBuild(t, b)
	for _, tt := range []struct {
		name  string
		path  string
		fresh bool
	}{
		{"a test", "text/text_test.go", true},
		{"a test's data", "text/testdata/golden.txt", true},
		{"another folder", "other/other.go", true},
		{"a source", "text/text.go", false},
		{"a new source", "text/more.go", false},
		{"an embedded file", "text/page.html", false},
		{"a deeper folder", "text/deep/deep.go", false},
		{"the module's versions", "go.mod", false},
		{"the module's sums", "go.sum", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(b.Root, "hello", tt.path)
			old, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			isNew := err != nil
			write(t, b, tt.path, string(old)+"// changed\n")
			if got := b.Fresh(hello); got != tt.fresh {
				t.Errorf("%s changed: Fresh = %v, want %v", tt.path, got, tt.fresh)
			}
			if isNew {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, old, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !b.Fresh(hello) {
				t.Errorf("%s is as it was: not Fresh", tt.path)
			}
		})
	}
	t.Run("another architecture", func(t *testing.T) {
		other := *b
		other.Platform = runtime.GOOS + "/" + otherArch()
		if other.Fresh(hello) {
			t.Error("Fresh for another architecture")
		}
		if other.Path(hello) == b.Path(hello) || other.Log(hello) == b.Log(hello) {
			t.Errorf("two architectures share %s or %s", b.Path(hello), b.Log(hello))
		}
	})
	same := *b
	same.Platform = runtime.GOOS + "/" + runtime.GOARCH
	if !same.Fresh(hello) || same.Path(hello) != b.Path(hello) {
		t.Error("this machine's platform by name is not the one without a name")
	}
	tagged := hello
	tagged.Tags = "other"
	if b.Fresh(tagged) {
		t.Error("Fresh with other build tags")
	}
	if err := os.Remove(b.Path(hello)); err != nil {
		t.Fatal(err)
	}
	if b.Fresh(hello) {
		t.Error("Fresh without the program")
	}
}

// otherArch returns an architecture that is not this machine's.
func otherArch() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// Programs are static, name no folder of this machine, and can be built for another one.
func TestPlatform(t *testing.T) { // not parallel: CGO_ENABLED
	t.Setenv("CGO_ENABLED", "1")
	for _, arch := range []string{runtime.GOARCH, otherArch()} {
		b := newBuilder(t)
		b.Platform = "linux/" + arch
		p := new(Progress)
		if err := b.Build(t.Context(), hello, p); err != nil {
			t.Fatalf("Build for %s: %v\n%s", arch, err, read(t, b.Log(hello)))
		}
		if b.Sum(hello) == "" {
			t.Errorf("%s: no sum after a build", arch)
		}
		f, err := elf.Open(b.Path(hello))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
			t.Errorf("%s: the program is for %s", arch, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP {
				t.Errorf("%s: the program needs a dynamic linker", arch)
			}
		}
		if strings.Contains(read(t, b.Path(hello)), b.Root) {
			t.Errorf("%s: the program names the folder that it was built in", arch)
		}
	}
}

// An up-to-date binary needs no go command, and so neither network nor cache.
func TestFreshNeedsNoGo(t *testing.T) { // not parallel: PATH
	b := newBuilder(t)
	mustBuild(t, b)
	t.Setenv("PATH", t.TempDir())
	if err := b.Build(t.Context(), hello, new(Progress)); err != nil {
		t.Errorf("Build of what is fresh, without go: %v", err)
	}
	write(t, b, "text/text.go", "package text\n\nconst Text = `two`\n")
	err := b.Build(t.Context(), hello, new(Progress))
	if err == nil || !strings.Contains(err.Error(), "build hello: go command not found") {
		t.Errorf("Build without go: %v, want go command not found", err)
	}
	wantClean(t, b)
}

func TestCounter(t *testing.T) {
	t.Parallel()
	const text = "runtime\n# hello/text\ntext/text.go:3:14: undefined: missing\ngo: downloading example.com/x v1.0.0\nhello/text\n"
	for size := 1; size < len(text); size++ { // however the lines arrive
		var n atomic.Int64
		c := &counter{n: &n}
		for rest := []byte(text); len(rest) > 0; {
			part := rest[:min(size, len(rest))]
			if _, err := c.Write(bytes.Clone(part)); err != nil {
				t.Fatal(err)
			}
			rest = rest[len(part):]
		}
		if n.Load() != 2 {
			t.Errorf("in parts of %d bytes: %d packages, want 2", size, n.Load())
		}
	}
}

// Binaries share what is compiled of packages whose versions and imports are the same.
func TestPackageKeys(t *testing.T) {
	t.Parallel()
	const common = "false errors  \ntrue io  errors\n"
	one := packageKeys(common + "true example.com/log v1.0.0 io\ntrue example.com/api v2.0.0 example.com/log io\ntrue example.com/one  example.com/api\n")
	two := packageKeys(common + "true example.com/log v1.1.0 io\ntrue example.com/api v2.0.0 example.com/log io\ntrue example.com/two  example.com/api\n")
	if len(one) != 4 || len(two) != 4 {
		t.Fatalf("%d and %d packages to compile, want 4 of 5: one is compiled already", len(one), len(two))
	}
	for i, same := range []bool{true, false, false, false} {
		if (one[i] == two[i]) != same {
			t.Errorf("package %d: same is %t, want %t", i, one[i] == two[i], same)
		}
	}
}

// Compiled once, packages serve the lab's builds and what make runs.
func TestMakefileFlags(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var compiler []string
	for _, f := range Flags {
		if !strings.HasPrefix(f, "-ldflags=") {
			compiler = append(compiler, f)
		}
	}
	if want := "\nSHARED = " + strings.Join(compiler, " ") + "\n"; !strings.Contains(string(makefile), want) {
		t.Errorf("the Makefile has no line %q", want)
	}
}

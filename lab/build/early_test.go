package build

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// early is hello with a package that is compiled first, and that hello does not import.
func early() Target {
	t := hello
	t.Early = []string{"text/template"}
	return t
}

// With early packages, go install builds for this machine and go build for another one. Bin may be relative,
// though the go command runs in the module's folder.
func TestEarly(t *testing.T) { // not parallel: the working folder
	for _, tt := range []struct{ name, platform, call string }{
		{"this platform", "", "install"},
		{"another platform", "linux/" + otherArch(), "build"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(t)
			t.Chdir(b.Root)
			b.Bin, b.Platform = "bin", tt.platform
			calls := filepath.Join(b.Root, "hello.calls")
			touch(t, calls)
			if err := b.Build(t.Context(), early(), new(Progress)); err != nil {
				t.Fatalf("Build: %v\n%s", err, read(t, b.Log(early())))
			}
			if got, want := read(t, calls), "begin list\nend list\nbegin "+tt.call+"\nend "+tt.call+"\n"; got != want {
				t.Errorf("calls of go:\n%swant\n%s", got, want)
			}
			if !b.Fresh(early()) {
				t.Error("not Fresh after a build")
			}
			entries, err := os.ReadDir(b.dir())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if got, want := strings.Join(names, " "), ".hello.lock hello hello.sum"; got != want {
				t.Errorf("the folder of the programs has %s, want %s", got, want)
			}
			if tt.platform == "" {
				if got := output(t, b); got != "one" {
					t.Errorf("the program prints %q, want %q", got, "one")
				}
				return
			}
			f, err := elf.Open(b.Path(early()))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[otherArch()]; f.Machine != want {
				t.Errorf("the program is for %s, want %s", f.Machine, want)
			}
		})
	}
}

// A machine without nice builds at the usual priority.
func TestBesideWithoutNice(t *testing.T) { // not parallel: PATH
	b := newBuilder(t)
	command, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(command, filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if err := b.Build(t.Context(), hello, &Progress{Beside: true}); err != nil {
		t.Errorf("Build: %v\n%s", err, read(t, b.Log(hello)))
	}
}

package images

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestCan(t *testing.T) {
	t.Parallel()
	all := machine{"linux/amd64", true, true}
	for _, tt := range []struct {
		machine  machine
		engine   string
		haveRoot bool
		want     string
	}{
		{all, "linux/amd64", false, ""},
		{machine{"linux/amd64", false, true}, "linux/amd64", false, "needs root, once: sudo sh /r/build.sh /s/root.tar; or use the official images"},
		{machine{"linux/amd64", true, false}, "linux/amd64", false, "install it first (Debian, Ubuntu: sudo apt-get install debootstrap); or "},
		{machine{"linux/amd64", false, false}, "linux/amd64", false, "install it first"},
		{machine{"linux/amd64", false, false}, "linux/amd64", true, ""},
		{all, "linux/arm64", true, "on the engine's platform linux/arm64, but this machine is linux/amd64: "},
		{machine{"darwin/arm64", false, false}, "linux/arm64", false, "needs Linux: "},
	} {
		err := tt.machine.can(tt.engine, tt.haveRoot, "/r/build.sh /s/root.tar")
		if got := fmt.Sprint(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%+v.can(%s, %t) = %s, want %q", tt.machine, tt.engine, tt.haveRoot, got, tt.want)
		}
	}
}

// newPostgres is a world with the sources of PostgreSQL's image.
func newPostgres(t *testing.T, script string) *world {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the image is made on Linux")
	}
	w := newWorld(t)
	w.Programs.Platform = runtime.GOOS + "/" + runtime.GOARCH
	w.write("debootstrap", "", "..")
	for name, content := range map[string]string{"build.sh": script, "entrypoint.sh": "entrypoint", "Dockerfile": "FROM scratch"} {
		w.write("compose/postgres/"+name, content)
	}
	return w
}

// The root of PostgreSQL's image is not made again for a change of the entrypoint.
func TestPostgresRootIsKept(t *testing.T) {
	const script = "exit 1 # nobody makes it"
	w := newPostgres(t, script)
	if err := os.MkdirAll(w.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"": "tar", ".version": "17.12-0\n", ".sum": fmt.Sprintf("%x\n", sha256.Sum256([]byte(script)))} {
		if err := os.WriteFile(filepath.Join(w.Dir, "postgres-root.tar"+name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, content := range []string{"entrypoint.sh", "another"} {
		w.write("compose/postgres/entrypoint.sh", content)
		for _, builds := range []bool{true, false} {
			if err := w.Build(t.Context(), []string{"postgres"}); err != nil {
				t.Fatal(err)
			}
			got := w.built()
			if (got[0] != "") != builds {
				t.Errorf("entrypoint %q: built %q, want %t", content, got, builds)
			}
			if builds && (!strings.Contains(got[0], "VERSION=17.12-0 ") || !slices.Equal(got[1:], []string{"Dockerfile", "entrypoint.sh", "root.tar"})) {
				t.Errorf("docker %q", got)
			}
		}
	}
	w.write("compose/postgres/build.sh", "exit 2")
	if err := w.Build(t.Context(), []string{"postgres"}); err == nil {
		t.Error("the script changed, and the root was not made again")
	}
}

// What cannot be made is said before anything is built.
func TestPostgresIsFirst(t *testing.T) {
	w := newPostgres(t, "exit 1")
	w.Programs.Platform = "linux/none"
	err := w.Build(t.Context(), []string{"labtool", "postgres"})
	if err == nil || !strings.HasPrefix(err.Error(), "-images local makes PostgreSQL's image with debootstrap") {
		t.Errorf("%v", err)
	}
	if got := w.built(); got[0] != "" {
		t.Errorf("built all the same: %q", got)
	}
	if _, err := os.Stat(w.Programs.Bin); err == nil {
		t.Error("programs were compiled")
	}
}

// The real script takes the mark of the last root away before it makes another one: one
// that is interrupted leaves none that is taken for whole.
func TestScriptMarksLast(t *testing.T) {
	script, err := filepath.Abs("../postgres/build.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// A debootstrap that notes what is there, and fails.
	stub := "#!/bin/sh\nls " + dir + "/state >" + dir + "/seen\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "debootstrap"), []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	tar := filepath.Join(dir, "state", "postgres-root.tar")
	if err := os.Mkdir(filepath.Dir(tar), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".version", ".sum"} {
		if err := os.WriteFile(tar+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", script, tar)
	cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	if err != nil || strings.Contains(string(seen), ".sum") || !strings.Contains(string(seen), "postgres-root.tar\n") {
		t.Errorf("while the root was made there were %q, %v", seen, err)
	}
	if _, err := os.Stat(tar + ".sum"); err == nil {
		t.Error("the mark is there again")
	}
}

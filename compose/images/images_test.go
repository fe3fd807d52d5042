package images

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
)

// newBuilder returns a builder for a repository with labtool's and PostgreSQL's sources.
func newBuilder(t *testing.T, script string) *Builder {
	t.Helper()
	dir := t.TempDir()
	b := &Builder{Binaries: &build.Builder{Root: filepath.Join(dir, "repo"), Bin: filepath.Join(dir, "bin"), Logs: dir, Platform: runtime.GOOS + "/" + runtime.GOARCH},
		Dir: filepath.Join(dir, "images"), Progress: cli.NewProgress(new(bytes.Buffer))}
	for name, content := range map[string]string{
		"../debootstrap":                 "",
		"go.mod":                         "module soundcheck\n\ngo 1.26\n",
		"go.sum":                         "",
		"compose/labtool/main.go":        "package main\n\nfunc main() {}\n",
		"internal/cli/cli.go":            "package cli\n",
		"internal/smoke/smoke.go":        "package smoke\n",
		"internal/version/version.go":    "package version\n",
		"compose/postgres/build.sh":      script,
		"compose/postgres/entrypoint.sh": "entrypoint",
		"compose/postgres/Dockerfile":    "FROM scratch",
	} {
		write(t, filepath.Join(b.Binaries.Root, name), content)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return b
}

// sumOf is what the script writes beside the root.
func sumOf(script string) string { return fmt.Sprintf("%x\n", sha256.Sum256([]byte(script))) }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// The folder of an image holds the program as it is now, and nothing else.
func TestProgram(t *testing.T) {
	b := newBuilder(t, "")
	program := filepath.Join(b.Dir, "labtool", "program")
	var last []byte
	for _, source := range []string{"func main() {}", "func main() { println() }"} {
		write(t, filepath.Join(b.Binaries.Root, "compose/labtool/main.go"), "package main\n\n"+source+"\n")
		for range 2 {
			if err := b.Prepare(t.Context(), []string{"prepare"}); err != nil {
				t.Fatal(err)
			}
		}
		now, err := os.ReadFile(program)
		entries, err2 := os.ReadDir(filepath.Dir(program))
		if err != nil || err2 != nil || bytes.Equal(now, last) || len(entries) != 1 {
			t.Errorf("%s: %d bytes, changed %t, with %v, %v, %v", source, len(now), !bytes.Equal(now, last), entries, err, err2)
		}
		last = now
	}
	write(t, filepath.Join(b.Binaries.Root, "compose/labtool/main.go"), "package main\n\nfunc main() { missing() }\n")
	if err := b.Prepare(t.Context(), []string{"prepare"}); err == nil || !strings.HasPrefix(err.Error(), "build labtool: ") || !strings.Contains(err.Error(), "; see ") {
		t.Errorf("a program that does not compile: %v", err)
	}
	if err := b.Prepare(t.Context(), []string{"grafana"}); err == nil || err.Error() != "cannot build the image of grafana here" {
		t.Errorf("an image of another project: %v", err)
	}
}

// Each image that local.yaml builds is of a folder that is prepared.
func TestTargets(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../local.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Count(string(b), "context: ../.lab/compose/images/")
	for _, service := range []string{"prepare", "album-store-1", "proxy-service", "console", "otel-collector", "jaeger", "prometheus"} {
		got, err := target("/r", service)
		if err != nil || !strings.Contains(string(b), "context: ../.lab/compose/images/"+got.Name+"\n") && !strings.Contains(string(b), "context: ../.lab/compose/images/"+got.Name+"}") {
			t.Errorf("the program of %s is %q, which local.yaml does not build from: %v", service, got.Name, err)
		}
	}
	if got, err := target("/r", "album-store-2"); err != nil || strings.Contains(got.Tags, "nodatabase") || strings.Contains(got.Tags, "nopostgres") || got.Name != "album-store" {
		t.Errorf("the store's image has the program %+v, %v; want all databases", got, err)
	}
	if folders != 7 {
		t.Errorf("local.yaml builds from %d folders, want 7", folders)
	}
}

// The image of loadgen, which no component of the lab is, is built anew when what it is made of changes. The Dockerfile
// builds it from the same folders.
func TestLoadgen(t *testing.T) {
	t.Parallel()
	got, err := target("/r", "loadgen")
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}", got.Package)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("%q, %v", out, err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		dir := strings.TrimPrefix(pkg, "soundcheck/")
		source := slices.ContainsFunc(got.Sources, func(s string) bool { return dir == s || strings.HasPrefix(dir, s+"/") })
		sent := slices.ContainsFunc(strings.Fields(string(ignore)), func(line string) bool {
			s, ok := strings.CutPrefix(line, "!")
			return ok && (dir == s || strings.HasPrefix(dir, s+"/"))
		})
		if !source || !sent {
			t.Errorf("loadgen imports %s: in its sources %v: %t, in .dockerignore: %t", pkg, got.Sources, source, sent)
		}
	}
}

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
		{machine{"linux/amd64", false, true}, "linux/amd64", false, "needs root, once: sudo sh /r/build.sh /s/root.tar; or use official images"},
		{machine{"linux/amd64", true, false}, "linux/amd64", false, "install it (Debian, Ubuntu: sudo apt-get install debootstrap), or use "},
		{machine{"linux/amd64", false, false}, "linux/amd64", false, "install it (Debian"},
		{machine{"linux/amd64", false, false}, "linux/amd64", true, ""},
		{all, "linux/arm64", true, "on the engine's platform linux/arm64, but this machine is linux/amd64: "},
		{machine{"darwin/arm64", false, false}, "linux/arm64", false, "needs Linux: "},
	} {
		err := tt.machine.can(tt.engine, tt.haveRoot, "/r/build.sh /s/root.tar", alternatives)
		if got := fmt.Sprint(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
			t.Errorf("%+v.can(%s, %t) = %s, want %q", tt.machine, tt.engine, tt.haveRoot, got, tt.want)
		}
	}
}

// docker keeps the label of the image in a file, and its calls, with the files it was sent.
const docker = `#!/bin/sh
case "$1" in
image) cat "$CALLS.label" ;;
build)
	echo "$*" >>"$CALLS"
	for last; do :; done
	ls "$last" >"$CALLS.files"
	while [ $# -gt 0 ]; do
		case "$1" in INPUTS=*) echo "${1#INPUTS=}" >"$CALLS.label" ;; esac
		shift
	done ;;
esac
`

// PostgreSQL's image is built again if one of its sources has changed, its root only if the
// script has.
func TestPostgres(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the image is made on Linux")
	}
	const script = "exit 1 # nobody makes it"
	b := newBuilder(t, script)
	calls := filepath.Join(t.TempDir(), "calls")
	t.Setenv("CALLS", calls)
	write(t, filepath.Join(b.Binaries.Root, "../docker"), docker)
	dir := filepath.Join(b.Dir, "postgres")
	for name, content := range map[string]string{"": "tar", ".version": "17.12-0\n", ".sum": sumOf(script)} {
		write(t, filepath.Join(dir, "root.tar"+name), content)
	}
	for _, entrypoint := range []string{"entrypoint", "another"} {
		write(t, filepath.Join(b.Binaries.Root, "compose/postgres/entrypoint.sh"), entrypoint)
		for _, builds := range []bool{true, false} {
			os.Remove(calls)
			if err := b.Prepare(t.Context(), []string{"postgres"}); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(calls); strings.Contains(string(got), "VERSION=17.12-0 "+dir+"\n") != builds {
				t.Errorf("entrypoint %q: docker %q, want a build: %t", entrypoint, got, builds)
			}
		}
		if got, err := os.ReadFile(filepath.Join(dir, "entrypoint.sh")); string(got) != entrypoint {
			t.Errorf("the engine was sent the entrypoint %q, %v, want %q", got, err, entrypoint)
		}
	}
	if os.Getuid() != 0 {
		return
	}
	write(t, filepath.Join(b.Binaries.Root, "compose/postgres/build.sh"), "echo no space left; exit 2")
	log := filepath.Join(b.Dir, "postgres.log")
	want := "collect Debian packages for PostgreSQL: exit status 2; see " + log
	if err := b.Prepare(t.Context(), []string{"postgres"}); err == nil || err.Error() != want {
		t.Errorf("the script has changed: %v, want %s", err, want)
	}
	if got, err := os.ReadFile(log); string(got) != "no space left\n" {
		t.Errorf("the log has %q, %v", got, err)
	}
}

// What cannot be made is reported before anything is compiled.
func TestPostgresIsFirst(t *testing.T) {
	b := newBuilder(t, "exit 1")
	b.Binaries.Platform = "linux/none"
	if err := b.Prepare(t.Context(), []string{"prepare", "postgres"}); err == nil || !strings.HasPrefix(err.Error(), "-images local builds PostgreSQL's image with debootstrap") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(b.Binaries.Bin); err == nil {
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
	// A debootstrap that records the files, and fails.
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

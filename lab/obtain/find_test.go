package obtain

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Outputs of the programs' version commands. Those without a version and that of
// otelcol-soundcheck were recorded, the others follow from the programs' sources.
var printed = []struct {
	p       *Program
	output  string
	want    string
	release bool
}{
	{Jaeger, "2026/11/29 07:26:16 application version: git-commit=, git-version=, build-date=\n" + `{"gitCommit":"","gitVersion":"","buildDate":""}`, "", false},
	{Jaeger, "2025/12/03 10:00:00 application version: git-commit=0a, git-version=v2.13.0, build-date=x\n" + `{"gitCommit":"0a","gitVersion":"v2.13.0","buildDate":"2025-12-03T10:00:00Z"}`, "2.13.0", true},
	{Jaeger, `{"gitCommit":"0a","gitVersion":"v1.60.0","buildDate":"x"}`, "1.60.0", true},
	{Prometheus, "prometheus, version  (branch: , revision: unknown)\n  build user:       \n  platform:         linux/amd64\n  tags:             remove_all_sd\n", "", false},
	{Prometheus, "prometheus, version 3.16.0 (branch: HEAD, revision: 8be3a956)\n  build user:       root@4451\n  tags:             netgo,builtinassets\n", "3.16.0", true},
	{Collector, "otelcol-soundcheck version 0.161.0\n", "0.161.0", true},
	{Collector, "otelcol-contrib version 0.161.1\n", "0.161.1", true},
	{Collector, "otelcol version 0.161.1\n", "", false}, // the core distribution
	{Grafana, "grafana version 12.4.5\n", "12.4.5", true},
	{Grafana, "Version 12.4.5 (commit: 0a1b, branch: release-12.4.5)\n", "12.4.5", true},
	{Grafana, "grafana version 12.4.5-security-01\n", "12.4.5", true},
}

func TestPrinted(t *testing.T) {
	t.Parallel()
	for _, tt := range printed {
		path := script(t, filepath.Join(t.TempDir(), tt.p.Name), tt.output)
		v, release, err := tt.p.version(t.Context(), path)
		if tt.want == "" {
			if err == nil || !strings.Contains(err.Error(), "prints no version of "+tt.p.Name) {
				t.Errorf("%s that prints %q: version %s, error %v", tt.p.Name, tt.output, v, err)
			}
			continue
		}
		if err != nil || v.String() != tt.want || release != tt.release {
			t.Errorf("%s that prints %q: version %s, %t, error %v", tt.p.Name, tt.output, v, release, err)
		}
	}
}

// script writes a program that prints text.
func script(t *testing.T, path, text string) string {
	t.Helper()
	return executableFile(t, path, "#!/bin/sh\ncat <<'END'\n"+text+"\nEND\n")
}

func executableFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// Not open for writing in this process, which starts others meanwhile.
	cmd := exec.Command("sh", "-c", `cat >"$0" && chmod 755 "$0"`, path)
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// install builds a command from a module of this path and version, as go install does.
func install(t *testing.T, module, version, pkg, main string) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "proxy", module, "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	goMod := "module " + module + "\n\ngo 1.26\n"
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("list", version+"\n")
	write(version+".mod", goMod)
	write(version+".info", fmt.Sprintf(`{"Version":%q}`, version))
	var archive strings.Builder
	z := zip.NewWriter(&archive)
	for name, content := range map[string]string{"go.mod": goMod, pkg + "/main.go": main} {
		w, err := z.Create(module + "@" + version + "/" + name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(version+".zip", archive.String())
	cmd := exec.Command("go", "install", "-modcacherw", module+"/"+pkg+"@"+version)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=file://"+filepath.Join(dir, "proxy"), "GONOSUMDB=*", "GOFLAGS=", "GOWORK=off",
		"GOMODCACHE="+filepath.Join(dir, "mod"), "GOBIN="+filepath.Join(dir, "bin"), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "bin", filepath.Base(pkg))
}

// Binaries that were built from a Go module print no version: their build information has it.
func TestBuildInformation(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p                      *Program
		version, printed, want string
	}{
		{Jaeger, "v1.76.0", printed[0].output, "2.13.0"},
		{Jaeger, "v1.62.0", printed[0].output, "1.62.0"}, // older than version 2
		{Prometheus, "v0.316.0", printed[3].output, "3.16.0"},
		{Prometheus, "v0.53.1", printed[3].output, "0.53.1"},
	} {
		path := install(t, tt.p.module, tt.version, "cmd/"+tt.p.Name, fmt.Sprintf("package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(%q) }\n", tt.printed))
		v, release, err := tt.p.version(t.Context(), path)
		if err != nil || v.String() != tt.want || release {
			t.Errorf("%s %s: version %s, %t, error %v, want %s, false", tt.p.Name, tt.version, v, release, err, tt.want)
		}
	}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestFindNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := script(t, filepath.Join(dir, "good"), printed[1].output)
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ path, want string }{
		"good":              {good, ""},
		"relative":          {"./jaeger", "not an absolute path"},
		"missing":           {filepath.Join(dir, "none"), "no such file or directory"},
		"below a file":      {filepath.Join(plain, "jaeger"), "not a directory"},
		"folder":            {dir, "is a folder"},
		"not executable":    {plain, "not executable"},
		"no program":        {executableFile(t, filepath.Join(dir, "text"), "\x00\x01"), "exec format error"},
		"old":               {script(t, filepath.Join(dir, "old"), printed[2].output), "version 1.60.0, want 2.13.0 or later, before 3.0.0: backends/jaeger/config.yaml"},
		"another program":   {script(t, filepath.Join(dir, "other"), "grafana version 12.4.5"), `prints no version of jaeger ("grafana version 12.4.5")`},
		"fails":             {executableFile(t, filepath.Join(dir, "fails"), "#!/bin/sh\necho out of memory >&2; exit 3\n"), `fails version: exit status 3 ("out of memory")`},
		"prints a lot":      {executableFile(t, filepath.Join(dir, "lot"), "#!/bin/sh\nyes | head -c 300000\n"), "prints no version of jaeger"},
		"prints it too far": {executableFile(t, filepath.Join(dir, "far"), "#!/bin/sh\nyes | head -c 70000\necho '\"gitVersion\":\"v2.13.0\"'\n"), "prints no version of jaeger"},
	} {
		f, reason, err := Jaeger.Find(t.Context(), env("SOUNDCHECK_JAEGER", tt.path, "PATH", dir), "")
		if tt.want == "" {
			want := Found{Name: "jaeger", Path: good, Version: "2.13.0", Origin: "SOUNDCHECK_JAEGER", Release: true}
			if err != nil || reason != "" || f != want {
				t.Errorf("%s: %+v, %q, %v, want %+v", name, f, reason, err, want)
			}
			continue
		}
		if prefix := "SOUNDCHECK_JAEGER=" + tt.path + ": "; err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), tt.want) || f.Path != "" {
			t.Errorf("%s: %+v, error %v, want %s … %s", name, f, err, prefix, tt.want)
		}
	}
	if got := Collector.Variable(); got != "SOUNDCHECK_OTELCOL_CONTRIB" {
		t.Errorf("the Collector's variable is %s", got)
	}
}

func TestFindOnPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	script(t, at("new/jaeger"), printed[1].output)
	script(t, at("old/jaeger"), printed[2].output)
	script(t, at("bin/jaeger"), printed[1].output)
	if err := os.MkdirAll(at("folder/jaeger"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"linked", "plain"} {
		if err := os.Mkdir(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(at("bin/jaeger"), at("linked/jaeger")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("bin"), at("alias")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("plain/jaeger"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(mustWD(t), at("new"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path         []string
		want, reason string
	}{
		{nil, "", ""},
		{[]string{""}, "", ""},
		{[]string{"none", at("none")}, "", ""},
		{[]string{at("new")}, "new/jaeger", ""},
		{[]string{at("folder"), at("plain"), at("new"), at("old")}, "new/jaeger", ""},
		{[]string{at("bin"), at("linked"), at("alias")}, "", ""}, // the lab's own
		{[]string{at("linked"), at("new")}, "new/jaeger", ""},
		{[]string{relative}, "", ""},
		// The first one decides, as in a shell.
		{[]string{at("old"), at("new")}, "", at("old/jaeger") + " on PATH does not fit: version 1.60.0, want"},
	} {
		f, reason, err := Jaeger.Find(t.Context(), env("PATH", strings.Join(tt.path, string(filepath.ListSeparator))), at("bin"))
		if err != nil || (tt.want == "") != (f.Path == "") || tt.want != "" && (f.Path != at(tt.want) || f.Origin != "PATH") ||
			(tt.reason == "") != (reason == "") || !strings.HasPrefix(reason, tt.reason) {
			t.Errorf("PATH %q: %+v, %q, %v, want %s, %q", tt.path, f, reason, err, tt.want, tt.reason)
		}
	}
}

func mustWD(t *testing.T) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return wd
}

// The folder of an archive, and those of Linux packages and Homebrew.
func TestGrafanaHome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	ini := func(home string) {
		if err := os.MkdirAll(at(home+"/conf"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(home+"/conf/defaults.ini"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const version = "grafana version 12.4.5"
	script(t, at("archive/bin/grafana"), version)
	ini("archive")
	if err := os.Symlink(at("archive/bin/grafana"), at("link")); err != nil {
		t.Fatal(err)
	}
	script(t, at("usr/sbin/grafana"), "not the program")
	script(t, at("usr/share/grafana/bin/grafana"), version)
	ini("usr/share/grafana")
	script(t, at("brew/bin/grafana"), version)
	ini("brew/share/grafana")
	script(t, at("alone/bin/grafana"), version)
	for path, want := range map[string]Found{
		"archive/bin/grafana": {Path: at("archive/bin/grafana"), Home: at("archive")},
		"link":                {Path: at("archive/bin/grafana"), Home: at("archive")},
		"usr/sbin/grafana":    {Path: at("usr/share/grafana/bin/grafana"), Home: at("usr/share/grafana")},
		"brew/bin/grafana":    {Path: at("brew/bin/grafana"), Home: at("brew/share/grafana")},
	} {
		want.Name, want.Version, want.Origin, want.Release = "grafana", "12.4.5", "SOUNDCHECK_GRAFANA", true
		f, _, err := Grafana.Find(t.Context(), env("SOUNDCHECK_GRAFANA", at(path)), "")
		if err != nil || f != want {
			t.Errorf("%s: %+v, %v, want %+v", path, f, err, want)
		}
	}
	if _, _, err := Grafana.Find(t.Context(), env("SOUNDCHECK_GRAFANA", at("alone/bin/grafana")), ""); err == nil || !strings.Contains(err.Error(), "no conf/defaults.ini in "+at("alone")) {
		t.Errorf("a program without its folder: %v", err)
	}
}

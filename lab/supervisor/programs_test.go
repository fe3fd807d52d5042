package supervisor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
)

// standIn is a program that prints a version as Jaeger does, and otherwise is the tests' program.
func standIn(version string) string {
	return fmt.Sprintf("#!/bin/sh\n[ \"$1\" = version ] && echo '{\"gitVersion\":\"v%s\"}' && exit\nexec '%s' \"$@\"\n", version, programs.Path(program))
}

// withJaeger returns a lab with one component that can be built, that can be found in the
// folder bin, and that has a release.
func withJaeger(t *testing.T) (l *lab, env map[string]string) {
	t.Helper()
	l = newLab(t)
	l.sources()
	l.Root = l.build.Root
	c := l.add("jaeger")
	c.Target, c.Program = backend, obtain.Jaeger
	env = map[string]string{"PATH": filepath.Join(l.State, "path"), obtain.MirrorVariable: "http://127.0.0.1:1"}
	l.Getenv = func(name string) string { return env[name] }
	l.From = plan.Auto
	l.releases("2.17.0", standIn("2.17.0"))
	return l, env
}

// releases pins a release of Jaeger, and returns its archive.
func (l *lab) releases(version, script string) []byte {
	l.t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: "jaeger-" + version + "/jaeger", Mode: 0o755, Size: int64(len(script)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write([]byte(script))
	}
	if err := errors.Join(err, w.Close(), z.Close(), os.MkdirAll(filepath.Join(l.Root, "backends"), 0o755)); err != nil {
		l.t.Fatal(err)
	}
	write(l.t, filepath.Join(l.Root, "backends/releases.json"), fmt.Sprintf(`[{"program": "jaeger", "version": %q, "os": %q, "arch": %q,
		"url": "https://h/jaeger.tar.gz", "sha256": "%x", "sources": ["https://a", "https://b"]}]`, version, runtime.GOOS, runtime.GOARCH, sha256.Sum256(b.Bytes())))
	return b.Bytes()
}

// mirror serves archives, and counts the requests.
func mirror(t *testing.T, env map[string]string, handle http.HandlerFunc) *atomic.Int64 {
	t.Helper()
	n := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.Add(1); handle(w, r) }))
	t.Cleanup(s.Close)
	env[obtain.MirrorVariable] = s.URL
	return n
}

func serve(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantBuilds fails unless so many builds were done.
func (l *lab) wantBuilds(n int) {
	l.t.Helper()
	if got := l.log.records("built"); len(got) != n {
		l.t.Errorf("%d builds, want %d: %+v", len(got), n, got)
	}
}

// An installed program that fits is used, and not built.
func TestFound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, named string // version of the program on PATH, of the one that the variable names
		source      plan.From
		want        string // From
		reason      string
	}{
		"on PATH":          {"2.17.0", "", plan.Auto, "PATH", ""},
		"on PATH, release": {"2.17.0", "", plan.Releases, "PATH", ""},
		"by variable":      {"2.1.0", "2.18.0", plan.Auto, "SOUNDCHECK_JAEGER", ""},
		"too old":          {"2.1.0", "", plan.Auto, FromBuild, "version 2.1.0, want 2.13.0 or later"},
		"another program":  {"none", "", plan.Auto, FromBuild, "prints no version of jaeger"},
		"source":           {"2.17.0", "", plan.Source, FromBuild, ""},
		"none":             {"", "", plan.Auto, FromBuild, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, env := withJaeger(t)
			l.From = tt.source
			path := filepath.Join(l.State, "path/jaeger")
			if tt.path != "" {
				script(t, path, standIn(tt.path))
			}
			version := tt.path
			if tt.named != "" {
				path, version = script(t, filepath.Join(l.State, "named"), standIn(tt.named)), tt.named
				env["SOUNDCHECK_JAEGER"] = path
			}
			l.up()
			p := l.state("jaeger", Ready)
			if p.From != tt.want || !strings.Contains(p.Reason, tt.reason) || tt.reason == "" && p.Reason != "" {
				t.Errorf("from %q, reason %q; want %q, %q", p.From, p.Reason, tt.want, tt.reason)
			}
			if tt.want == FromBuild {
				l.wantBuilds(1)
				if p.Path != "" {
					t.Errorf("built, but the path is %q", p.Path)
				}
				return
			}
			l.wantBuilds(0)
			if p.Path != path || p.Version != version {
				t.Errorf("version %s, path %q; want %s, %q", p.Version, p.Path, version, path)
			}
			if err := NewClient(l.State).Restart(t.Context(), "jaeger"); err != nil {
				t.Error(err)
			}
			if again := l.state("jaeger", Ready); again.Process == p.Process || again.Path != path {
				t.Errorf("after a restart: %+v, before: %+v", again, p)
			}
			l.wantBuilds(0)
		})
	}
}

// A restart runs an updated program, unless its version does not fit.
func TestUpdated(t *testing.T) {
	t.Parallel()
	l, _ := withJaeger(t)
	path := script(t, filepath.Join(l.State, "path/jaeger"), standIn("2.17.0"))
	l.up()
	c := NewClient(l.State)
	script(t, path, standIn("2.18.0"))
	if err := c.Restart(t.Context(), "jaeger"); err != nil {
		t.Error(err)
	}
	p := l.state("jaeger", Ready)
	if p.Version != "2.18.0" || p.From != "PATH" {
		t.Errorf("after an update: %+v", p)
	}
	script(t, path, standIn("3.0.0"))
	wantError(t, c.Restart(t.Context(), "jaeger"), "restart jaeger: "+path+": version 3.0.0, want 2.13.0 or later, before 3.0.0")
	if again := l.state("jaeger", Ready); again.Process != p.Process || again.Version != "2.18.0" {
		t.Errorf("after one that does not fit: %+v, before %+v", again, p)
	}
}

// What a variable names must be there and fit: otherwise nothing starts.
func TestNamedProgramDoesNotFit(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"": "no such file", "2.1.0": "version 2.1.0, want 2.13.0 or later", "none": "prints no version"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l, env := withJaeger(t)
			l.add("store")
			path := filepath.Join(l.State, "named")
			env["SOUNDCHECK_JAEGER"] = path
			if version != "" {
				script(t, path, standIn(version))
			}
			l.start()
			wantError(t, l.ended(), "SOUNDCHECK_JAEGER="+path+": ", want)
			if got := l.events(); got[0] != "" {
				t.Errorf("events %q: something began", got)
			}
		})
	}
}

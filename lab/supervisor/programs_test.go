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

	"soundcheck/lab/build"
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

// A pinned release is downloaded once, and used from then on without the network.
func TestRelease(t *testing.T) {
	t.Parallel()
	for _, from := range []plan.From{plan.Auto, plan.Releases} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			l, env := withJaeger(t)
			l.From = from
			archive := l.releases("2.17.0", standIn("2.17.0"))
			release := make(chan struct{})
			requests := mirror(t, env, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
				w.Write(archive[:10])
				w.(http.Flusher).Flush()
				select {
				case <-release:
				case <-r.Context().Done():
				}
				w.Write(archive[10:])
			})
			l.add("store")
			l.start()
			st := l.await("the download runs", func(st Status) bool {
				return st.program("store").State == Ready && st.program("jaeger").State == Downloading
			})
			if p := st.program("jaeger"); p.Received != 10 || p.Size != int64(len(archive)) || p.Version != "2.17.0" {
				t.Errorf("meanwhile %+v, want 10 of %d bytes of 2.17.0", p, len(archive))
			}
			close(release)
			l.await("the lab is up", func(st Status) bool { return st.Phase == Up })
			if p := l.state("jaeger", Ready); p.From != FromRelease || p.Version != "2.17.0" || p.Path != filepath.Join(l.build.Bin, "jaeger-2.17.0/jaeger") {
				t.Errorf("%+v, want the release", p)
			}
			l.wantBuilds(1) // the store
			l.stop()

			again := newLab(t)
			again.Lab, again.build, again.programs = l.Lab, l.build, l.programs
			again.up()
			if p := again.state("jaeger", Ready); p.From != FromRelease || requests.Load() != 1 {
				t.Errorf("the second time %+v, %d requests in all", p, requests.Load())
			}
			again.wantBuilds(0)
		})
	}
}

// If a release cannot be had, auto builds and says nothing, and release fails before anything starts.
func TestNoRelease(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handle http.HandlerFunc // nil: no server
		cause  string
	}{
		"unreachable": {nil, "not reachable"},
		"silent":      {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ""},
		"gone":        {http.NotFound, "404 Not Found"},
		"wrong":       {serve([]byte("another archive")), "wrong SHA-256"},
	} {
		for _, from := range []plan.From{plan.Auto, plan.Releases} {
			if from == plan.Releases && tt.cause == "" {
				continue // it waits for longer
			}
			t.Run(name+", "+string(from), func(t *testing.T) {
				t.Parallel()
				l, env := withJaeger(t)
				l.From = from
				if tt.handle != nil {
					mirror(t, env, tt.handle)
				}
				if from == plan.Releases {
					l.start()
					wantError(t, l.ended(), tt.cause, "jaeger.tar.gz", "install jaeger 2.13.0 or later", "SOUNDCHECK_JAEGER", obtain.MirrorVariable, "-from source")
					if got := l.events(); got[0] != "" {
						t.Errorf("events %q: something began", got)
					}
					l.wantBuilds(0)
					return
				}
				l.up()
				if p := l.state("jaeger", Ready); p.From != FromBuild || p.Reason != "" || p.Path != "" {
					t.Errorf("%+v, want a build without a word", p)
				}
				l.wantBuilds(1)
				if got := l.log.records("not fetched"); len(got) != 1 {
					t.Errorf("lab.log has %+v", got)
				}
			})
		}
	}
}

// A warm start asks no server and runs no go command.
func TestWarmStart(t *testing.T) {
	t.Parallel()
	l, env := withJaeger(t)
	if err := errors.Join(Prepare(l.Lab), l.build.Build(t.Context(), backend, new(build.Progress))); err != nil {
		t.Fatal(err)
	}
	requests := mirror(t, env, http.NotFound)
	release := l.hold("backend")
	defer release()
	l.up()
	if p := l.state("jaeger", Ready); p.From != FromBuild || requests.Load() != 0 {
		t.Errorf("%+v after %d requests", p, requests.Load())
	}
	l.wantBuilds(0)
}

// With release, what is not pinned is built, and the reason is shown.
func TestNotPinned(t *testing.T) {
	t.Parallel()
	l, env := withJaeger(t)
	l.From = plan.Releases
	write(t, filepath.Join(l.Root, "backends/releases.json"), "[]")
	requests := mirror(t, env, http.NotFound)
	l.up()
	want := "no release of jaeger is pinned for " + runtime.GOOS + "/" + runtime.GOARCH + ": it is built"
	if p := l.state("jaeger", Ready); p.From != FromBuild || p.Reason != want || requests.Load() != 0 {
		t.Errorf("%+v after %d requests, want %q", p, requests.Load(), want)
	}
}

// Grafana is not built: without an installed one or a release the lab does not start.
func TestNoGrafana(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		onPath, want string
	}{
		"none":    {"", "no release of grafana is pinned"},
		"another": {"#!/bin/sh\n", "grafana on PATH does not fit: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := withJaeger(t)
			l.programs = nil
			c := l.add("grafana")
			c.Target, c.Program = build.Target{Name: "grafana"}, obtain.Grafana
			l.add("store")
			if tt.onPath != "" {
				script(t, filepath.Join(l.State, "path/grafana"), tt.onPath)
			}
			l.start()
			wantError(t, l.ended(), tt.want, "install Grafana 12, or set SOUNDCHECK_GRAFANA=/path/bin/grafana")
			if got := l.events(); got[0] != "" {
				t.Errorf("events %q: something began", got)
			}
		})
	}
}

// A download ends with the lab.
func TestStopDuringDownload(t *testing.T) {
	t.Parallel()
	l, env := withJaeger(t)
	mirror(t, env, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("begin"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	l.start()
	l.state("jaeger", Downloading)
	l.stop()
	if l.err != nil {
		t.Errorf("Run = %v", l.err)
	}
	l.wantBuilds(0)
}

package supervisor

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
)

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

// If a release cannot be had, auto builds, and says so only if its sum is wrong; release fails before
// anything starts.
func TestNoRelease(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handle http.HandlerFunc // nil: no server
		cause  string
	}{
		"unreachable": {nil, "not reachable"},
		"gone":        {http.NotFound, "404 Not Found"},
		"wrong":       {serve([]byte("another archive")), "wrong SHA-256"},
	} {
		for _, from := range []plan.From{plan.Auto, plan.Releases} {
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
				want := "" // no network is no error
				if name == "wrong" {
					want = tt.cause
				}
				if p := l.state("jaeger", Ready); p.From != FromBuild || (p.Reason == "") != (want == "") || !strings.Contains(p.Reason, want) || p.Path != "" {
					t.Errorf("%+v, want a build with the reason %q", p, want)
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

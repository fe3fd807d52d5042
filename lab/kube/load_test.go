package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helmMain does as helm: it prints its arguments and its stdin to a file. A file "helm" is what it writes to stderr
// before it fails; with "helm waits" it waits until it is terminated.
func helmMain(dir string, args []string) error {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	own := syscall.Getpgrp() == os.Getpid()
	if err := os.WriteFile(filepath.Join(dir, "called"), fmt.Appendf(nil, "%s\n%s\ngroup %t", strings.Join(args, " "), in, own), 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "helm waits")); err == nil {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		<-terminated
	}
	if b, err := os.ReadFile(filepath.Join(dir, "helm fails")); err == nil {
		return errors.New(string(b))
	}
	return nil
}

// A cluster with a load ConfigMap says what load from it needs.
func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	const labels = `"app.kubernetes.io/part-of":"soundcheck","app.kubernetes.io/instance":"x","app.kubernetes.io/component":`
	const other = `{"metadata":{"labels":{` + labels + `"grafana"}},"data":{"image":"grafana"}}`
	for name, tc := range map[string]struct {
		configMaps string
		want       map[string]string
		err        string
	}{
		"found":        {`{"items":[` + other + `,{"metadata":{"labels":{` + labels + `"load"}},"data":{"image":"i:1","url":"http://p:9070"}}]}`, map[string]string{"image": "i:1", "url": "http://p:9070"}, ""},
		"an older one": {`{"items":[` + other + `]}`, nil, "release x in namespace a is of an older chart, without defaults for load: upgrade it (make k8s-up), or set -image and -url"},
		"without data": {`{"items":[{"metadata":{"labels":{` + labels + `"load"}}}]}`, nil, ""},
		"no JSON":      {"<html>", nil, `kubectl get configmaps printed "<html>", which is not the expected JSON: `},
		"forbidden":    {`Error from server (Forbidden): configmaps is forbidden`, nil, "no permission (kubectl get configmaps): Error from server (Forbidden): configmaps is forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			r := f.release()
			f.write("get configmaps a", tc.configMaps)
			got, err := r.LoadDefaults(t.Context())
			if !maps.Equal(got, tc.want) || (err == nil) != (tc.err == "") || err != nil && !strings.HasPrefix(err.Error(), tc.err) {
				t.Errorf("%v, %v; want %v, %s", got, err, tc.want, tc.err)
			}
		})
	}
}

// PartOf selects the release of another chart, and its pods.
func TestPartOf(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	load := strings.ReplaceAll(services("a/x/coordinator:7070"), `part-of":"soundcheck"`, `part-of":"soundcheck-load"`)
	lab := services("a/x/proxy-service:9070")
	f.write("get services a", strings.TrimSuffix(load, "]}")+","+strings.TrimPrefix(lab, `{"items":[`))
	o := Options{Namespace: "a", Release: "x", PartOf: "soundcheck-load"}
	r, err := f.find(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Has("coordinator") || r.Has("proxy-service") {
		t.Errorf("services %v", r.services)
	}
	const labels = `{"metadata":{"labels":{"app.kubernetes.io/part-of":"PART","app.kubernetes.io/instance":"x","app.kubernetes.io/component":"coordinator"}}}`
	f.write("get pods a", `{"items":[`+strings.ReplaceAll(labels, "PART", "soundcheck")+`,`+strings.ReplaceAll(labels, "PART", "soundcheck-load")+`]}`)
	b, err := r.PodList(t.Context(), "coordinator")
	if want := `{"items":[` + strings.ReplaceAll(labels, "PART", "soundcheck-load") + `]}`; err != nil || string(b) != want {
		t.Errorf("pods %s, want %s, %v", b, want, err)
	}
	f.write("logs --namespace", "last lines\n\n")
	if log, err := r.LogTail(t.Context(), "coordinator"); err != nil || log != "last lines" {
		t.Errorf("log %q, %v", log, err)
	}
	if calls := f.read("calls"); !strings.Contains(calls, "logs --namespace a --selector app.kubernetes.io/part-of=soundcheck-load,app.kubernetes.io/instance=x,app.kubernetes.io/component=coordinator --tail 20\n") {
		t.Errorf("calls\n%s", calls)
	}
	o.PartOf = ""
	if r, err = f.find(t.Context(), o); err != nil || r.Has("coordinator") || !r.Has("proxy-service") {
		t.Errorf("the lab: %v", err)
	}
	o.PartOf, o.Release = "soundcheck-load", "y"
	if _, err := f.find(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "no release y of the chart soundcheck-load in namespace a") {
		t.Errorf("another release: %v", err)
	}
}

// Helm runs with its input, in the context and the namespace, in a process group of its own, and its errors say
// what helm says. It is found in PATH, which other tests must not change.
func TestHelm(t *testing.T) {
	f := newFake(t)
	exe, err := os.Executable()
	if err = errors.Join(err, os.Symlink(exe, filepath.Join(f.dir, "helm"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", f.dir)
	if err := Installed(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		options Options
		want    string
	}{
		{Options{Namespace: "a"}, "install x --values - --namespace a\nvalues\ngroup true"},
		{Options{Namespace: "a", Context: "c", Release: "y"}, "install x --values - --kube-context c --namespace a\nvalues\ngroup true"},
	} {
		if err := Helm(t.Context(), tt.options, strings.NewReader("values"), "install", "x", "--values", "-"); err != nil || f.read("called") != tt.want {
			t.Errorf("%s, want %s, %v", f.read("called"), tt.want, err)
		}
	}
	f.write("helm fails", "Error: INSTALLATION FAILED: cannot re-use a name that is still in use")
	const want = "helm install: exit status 1: INSTALLATION FAILED: cannot re-use a name that is still in use"
	if err := Helm(t.Context(), Options{}, nil, "install", "x"); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	// An interrupt ends it.
	f.remove("called")
	f.write("helm waits", "yes")
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for f.read("called") == "" && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	began := time.Now()
	if _ = Helm(ctx, Options{}, nil, "uninstall", "x"); ctx.Err() == nil || time.Since(began) > helmTimeout/2 {
		t.Errorf("it ended by itself after %s", time.Since(began))
	}
	if err := os.Remove(filepath.Join(f.dir, "helm")); err != nil {
		t.Fatal(err)
	}
	const missing = "helm command not found: install it (https://helm.sh/docs/intro/install)"
	if err := Helm(t.Context(), Options{}, nil, "list"); err == nil || err.Error() != missing || Installed() == nil || Installed().Error() != missing {
		t.Errorf("%v, %v; want %s", err, Installed(), missing)
	}
	f.remove("kubectl")
	if err := Installed(); err == nil || !strings.HasPrefix(err.Error(), "kubectl command not found") {
		t.Error(err)
	}
}

// The namespace of a context is that of kubectl's configuration.
func TestNamespace(t *testing.T) {
	f := newFake(t)
	t.Setenv("PATH", f.dir)
	for text, want := range map[string]string{"": "default", "mine": "mine"} {
		f.write("config view", text)
		if got, err := Namespace(t.Context(), "c"); err != nil || got != want {
			t.Errorf("%q, want %q, %v", got, want, err)
		}
	}
	if calls := f.read("calls"); !strings.Contains(calls, " --context c config view --minify --output jsonpath={..namespace}\n") {
		t.Errorf("calls\n%s", calls)
	}
	f.write("config view", "error: context was not found for specified context: c")
	if _, err := Namespace(t.Context(), "c"); err == nil || !strings.HasPrefix(err.Error(), "-context: context was not found") {
		t.Error(err)
	}
}

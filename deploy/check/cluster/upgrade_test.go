package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// replicated has two pods of everything that can have two.
var replicated = []string{"database.kind=postgres", "store.replicas=2", "proxy.replicas=2"}

// upgrade changes an environment variable of stores and proxies, and the images if there are others.
func upgrade(value string) (args []string) {
	if file := os.Getenv("SOUNDCHECK_K8S_UPGRADE"); file != "" {
		args = append(args, "--values", file)
	}
	return append(args, "--set-string", "store.env.TEST="+value, "--set-string", "proxy.env.TEST="+value)
}

// No request fails and no album is lost while a release is upgraded and rolled back.
func TestUpgrade(t *testing.T) {
	r := newRelease(t, "upgrade", replicated...)
	r.do("install")

	old := r.serving()
	l := r.start()
	r.do("upgrade", upgrade("1")...)
	r.ended(old)
	l.clean()
	r.replaced(old, r.serving())

	old = r.serving()
	l = r.start()
	r.do("rollback", "1", "--wait", "--timeout", ready)
	r.ended(old)
	l.clean()
	r.replaced(old, r.serving())
	if env := r.env("album-store"); env != "" {
		t.Errorf("the store has TEST=%q after the rollback", env)
	}
}

// Nor while a release of the chart's previous version is upgraded to this one.
func TestUpgradePrevious(t *testing.T) {
	r := newRelease(t, "previous", replicated...)
	r.chart = r.previous()
	r.do("install")
	r.chart = chart

	old := r.serving()
	l := r.start()
	r.do("upgrade", upgrade("1")...)
	r.ended(old)
	l.clean()
	r.replaced(old, r.serving())
}

// previous is the chart of the last commit with another version, in a folder.
func (r *release) previous() string {
	r.Helper()
	version := func(chart string) string {
		for line := range strings.Lines(chart) {
			if v, found := strings.CutPrefix(line, "version: "); found {
				return strings.TrimSpace(v)
			}
		}
		r.Fatalf("Chart.yaml has no version:\n%s", chart)
		return ""
	}
	now, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		r.Fatal(err)
	}
	root, err := output(r.Context(), "git", "rev-parse", "--show-toplevel")
	if err != nil {
		r.Skip("not in a clone of the repository")
	}
	for _, commit := range strings.Fields(r.must("git", "-C", root, "log", "--format=%H", "--", "deploy/charts/soundcheck")) {
		text := r.must("git", "-C", root, "show", commit+":deploy/charts/soundcheck/Chart.yaml")
		if v := version(text); v != version(string(now)) {
			r.Logf("version %s of commit %.7s, then %s", v, commit, version(string(now)))
			archive := filepath.Join(r.TempDir(), "chart.tar")
			r.must("git", "-C", root, "archive", "--output", archive, commit, "deploy/charts/soundcheck")
			r.must("tar", "-xf", archive, "-C", filepath.Dir(archive))
			return filepath.Join(filepath.Dir(archive), "deploy", "charts", "soundcheck")
		}
	}
	r.Skip("no commit here has another version of the chart")
	return ""
}

// ended waits for the end of pods, which still drain when Helm is done.
func (r *release) ended(pods []string) {
	r.Helper()
	for _, pod := range pods {
		r.kubectl("wait", "--for=delete", "pod/"+pod, "--timeout="+ready)
	}
}

// serving are the pods of stores and proxies.
func (r *release) serving() []string {
	r.Helper()
	return append(r.pods("album-store"), r.pods("proxy-service")...)
}

// replaced checks that pods were replaced by as many.
func (r *release) replaced(old, now []string) {
	r.Helper()
	for _, pod := range old {
		if slices.Contains(now, pod) {
			r.Errorf("pod %s was not replaced", pod)
		}
	}
	if len(now) != len(old) {
		r.Errorf("%d pods, want %d", len(now), len(old))
	}
}

// env is the value of TEST in a Deployment.
func (r *release) env(component string) string {
	r.Helper()
	return r.kubectl("get", "deployment", "lab-soundcheck-"+component, "-o", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="TEST")].value}`)
}

// After kubectl scale and kubectl edit, an upgrade that sets the same fields ends with a conflict under server-side
// apply, in the middle; --force-conflicts lets the chart win. A release of Helm 3 stays with client-side apply
// under Helm 4: the chart wins without a word. No request fails.
func TestConflict(t *testing.T) {
	for _, born := range []string{"helm4", "helm3"} {
		t.Run(born, func(t *testing.T) {
			r := newRelease(t, "conflict-"+born, replicated...)
			if born == "helm3" {
				r.helm3()
			}
			r.do("install", upgrade("1")...)
			r.helm = "helm"
			l := r.start()

			// Three stores, by hand. The chart sets replicas: 2 in each upgrade.
			r.kubectl("scale", "deployment/lab-soundcheck-album-store", "--replicas=3")
			r.kubectl("rollout", "status", "deployment/lab-soundcheck-album-store", "--timeout="+ready)
			out, err := r.run("upgrade", upgrade("2")...)
			t.Logf("helm upgrade after kubectl scale: %v", err)
			if born == "helm4" {
				conflict(t, err, ".spec.replicas")
				if env := r.env("album-store"); env != "1" {
					t.Errorf("the upgrade with a conflict changed the store: TEST=%q", env)
				}
			} else if err != nil {
				t.Errorf("%v\n%s", err, out)
			} else if _, err = r.run("upgrade", append(upgrade("2"), "--force-conflicts")...); err == nil || !strings.Contains(err.Error(), "forceConflicts") {
				t.Errorf("helm upgrade --force-conflicts, with client-side apply: %v", err)
			}
			r.do("upgrade", append(upgrade("2"), r.force(born)...)...)
			if got := r.pods("album-store"); len(got) != 2 {
				t.Errorf("%d stores after the upgrade, want 2", len(got))
			}

			// As kubectl edit: a client-side update of a field that the chart sets.
			r.kubectl("patch", "deployment/lab-soundcheck-proxy-service", "--field-manager=kubectl-edit", "--type=strategic", "-p",
				`{"spec":{"template":{"spec":{"containers":[{"name":"proxy-service","env":[{"name":"TEST","value":"edited"}]}]}}}}`)
			r.kubectl("rollout", "status", "deployment/lab-soundcheck-proxy-service", "--timeout="+ready)
			out, err = r.run("upgrade", upgrade("3")...)
			t.Logf("helm upgrade after kubectl edit: %v", err)
			if born == "helm4" {
				conflict(t, err, `env[name="TEST"].value`)
				// The store is applied before the proxy.
				if store, proxy := r.env("album-store"), r.env("proxy-service"); store != "3" || proxy != "edited" {
					t.Errorf("after the conflict the store has TEST=%q and the proxy %q, want 3 and edited", store, proxy)
				}
			} else if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			old := r.serving()
			r.do("upgrade", append(upgrade("3"), r.force(born)...)...)
			r.ended(slices.DeleteFunc(old, func(pod string) bool { return slices.Contains(r.serving(), pod) }))
			if env := r.env("proxy-service"); env != "3" {
				t.Errorf("the proxy has TEST=%q after the upgrade, want 3", env)
			}
			l.clean()
		})
	}
}

// force makes the chart win. A release with client-side apply rejects the flag.
func (r *release) force(born string) []string {
	if born == "helm3" {
		return nil
	}
	return []string{"--force-conflicts"}
}

func conflict(t *testing.T, err error, field string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "conflict") || !strings.Contains(err.Error(), field) {
		t.Errorf("helm upgrade: %v, want a conflict of %s", err, field)
	}
}

package cluster

import (
	"os"
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

	old := r.pods("album-store")
	l := r.start()
	r.do("upgrade", upgrade("1")...)
	l.clean()
	r.replaced("album-store", old)

	old = r.pods("proxy-service")
	l = r.start()
	r.do("rollback", "1", "--wait", "--timeout", ready)
	l.clean()
	r.replaced("proxy-service", old)
	if env := r.env("album-store"); env != "" {
		t.Errorf("the store has TEST=%q after the rollback", env)
	}
}

// replaced checks that a rollout took place.
func (r *release) replaced(component string, old []string) {
	r.Helper()
	now := r.pods(component)
	for _, pod := range old {
		for _, p := range now {
			if p == pod {
				r.Errorf("pod %s was not replaced", pod)
			}
		}
	}
	if len(now) != len(old) {
		r.Errorf("%d pods of %s, want %d", len(now), component, len(old))
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
			r.do("upgrade", append(upgrade("3"), r.force(born)...)...)
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

package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// insecure are the rules that a pod violates: those of the restricted Pod Security Standard, and ours.
func insecure(o *object) (list []string) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if r := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &o.pod.ObjectMeta, &o.pod.Spec)); !r.Allowed {
		list = append(list, r.ForbiddenDetail())
	}
	for _, c := range o.containers() {
		if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			list = append(list, "container "+c.Name+": the root file system is writable")
		}
	}
	s := o.pod.Spec
	if s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
		list = append(list, "every container gets a token")
	}
	if s.EnableServiceLinks == nil || *s.EnableServiceLinks {
		list = append(list, "the environment has the Services of the namespace")
	}
	if s.SecurityContext == nil || s.SecurityContext.RunAsUser == nil || s.SecurityContext.FSGroup == nil {
		list = append(list, "no user or no group of volumes") // an image's user can be a name, which runAsNonRoot rejects
	}
	return list
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	pods := 0
	for name, objects := range labs(t) {
		for _, o := range objects {
			if o.pod == nil {
				continue
			}
			pods++
			for _, p := range insecure(o) {
				t.Errorf("%s: %s: %s", name, o, p)
			}
			if o.pod.Spec.ServiceAccountName != "" && name != "k8s-attributes" {
				t.Errorf("%s: %s has a service account", name, o)
			}
		}
	}
	if pods < 100 {
		t.Errorf("only %d pods were checked", pods)
	}
}

// The checks find what is insecure.
func TestInsecure(t *testing.T) {
	t.Parallel()
	good := must(t, lab, registry)
	for _, tt := range []struct{ from, to, want string }{
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"capabilities: {drop: [ALL]}", "capabilities: {add: [NET_RAW]}", "capabilities"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "is writable"},
		{"automountServiceAccountToken: false", "automountServiceAccountToken: true", "gets a token"},
		{"enableServiceLinks: false", "", "the Services of the namespace"},
		{"fsGroup: ", "#", "no group of volumes"},
	} {
		for i, d := range good {
			if !strings.HasSuffix(d.file, "/proxy.yaml") || !strings.Contains(d.text, "kind: Deployment") {
				continue
			}
			if !strings.Contains(d.text, tt.from) {
				t.Fatalf("the proxy has no %q any more", tt.from)
			}
			objects, wrong := decode([]document{{d.file, strings.ReplaceAll(good[i].text, tt.from, tt.to)}})
			if len(wrong) > 0 {
				t.Fatal(wrong)
			}
			if got := strings.Join(insecure(objects[0]), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("%s: found %q, want %q", tt.to, got, tt.want)
			}
		}
	}
}

// Only the Collector's container gets a token, and only with k8sAttributes, whose processor asks the API server.
func TestToken(t *testing.T) {
	t.Parallel()
	for name, objects := range labs(t) {
		var got []string
		for _, o := range objects {
			if o.pod == nil {
				continue
			}
			for _, v := range o.pod.Spec.Volumes {
				if v.Projected == nil || !slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool { return p.ServiceAccountToken != nil }) {
					continue
				}
				var files []string
				for _, s := range v.Projected.Sources {
					switch {
					case s.ServiceAccountToken != nil:
						files = append(files, s.ServiceAccountToken.Path)
					case s.ConfigMap != nil:
						files = append(files, s.ConfigMap.Items[0].Path)
					case s.DownwardAPI != nil:
						files = append(files, s.DownwardAPI.Items[0].Path)
					}
				}
				for _, c := range o.containers() {
					for _, m := range c.VolumeMounts {
						if m.Name == v.Name {
							got = append(got, fmt.Sprintf("%s %s read-only %t %v", c.Name, m.MountPath, m.ReadOnly, files))
						}
					}
				}
			}
		}
		var want []string
		if name == "k8s-attributes" { // where client-go looks, and what it reads
			want = []string{"otel-collector /var/run/secrets/kubernetes.io/serviceaccount read-only true [token ca.crt namespace]"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: tokens are in %q, want %q", name, got, want)
		}
	}
}

package cluster

import "testing"

// After helm uninstall the claims and the password stay: a new release of the same name has the albums.
func TestUninstallKeepsData(t *testing.T) {
	for _, m := range modes[1:3] {
		t.Run(m.name, func(t *testing.T) {
			r := newRelease(t, "keep-"+m.name, m.values...)
			r.do("install")
			id, _, err := create("http://"+r.address("proxy-service", "http"), "Kept")
			if err != nil {
				t.Fatal(err)
			}
			kept := []string{"persistentvolumeclaim/lab-soundcheck-album-store"}
			if m.name != "sqlite" {
				kept = []string{"persistentvolumeclaim/data-lab-soundcheck-postgres-0", "secret/lab-soundcheck-postgres"}
			}
			state := func() string {
				return r.kubectl(append(append([]string{"get"}, kept...), "-o", `jsonpath={range .items[*]}{.metadata.uid} {.data.password} {end}{.metadata.uid}`)...)
			}
			before := state()

			r.do("uninstall", "--wait", "--timeout", ready)
			// Not pods: with --wait, Helm waits for what it created, and the pods end meanwhile.
			left := r.kubectl("get", "deployments,statefulsets,services,configmaps,jobs,networkpolicies", "-l", "app.kubernetes.io/instance=lab", "-o", "name")
			if left != "" {
				t.Errorf("left after helm uninstall: %s", left)
			}
			if after := state(); after != before {
				t.Errorf("claim and password after helm uninstall: %s, want %s", after, before)
			}

			r.do("install")
			if after := state(); after != before {
				t.Errorf("claim and password of the new release: %s, want %s", after, before)
			}
			if lost := lost("http://"+r.address("proxy-service", "http"), map[int64]string{id: "Kept"}); len(lost) > 0 {
				t.Error(lost)
			}
		})
	}
}

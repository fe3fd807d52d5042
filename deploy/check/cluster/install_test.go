package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Values of the database modes. postgres.go has the external one.
var modes = []struct {
	name   string
	values []string
}{
	{"memory", nil},
	{"sqlite", []string{"database.kind=sqlite"}},
	{"postgres-job", []string{"database.kind=postgres", "store.replicas=2"}},
	{"postgres-init", []string{"database.kind=postgres", "migrations.mode=init", "store.replicas=2"}},
	{"postgres-hook", []string{"database.kind=postgres", "database.postgres.mode=external", "database.postgres.existingSecret=albums-app", "store.replicas=2"}},
}

// Each database mode is installed by Helm 4, and one by Helm 3. helm test and lab verify succeed, and albums are stored.
func TestInstall(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { install(t, newRelease(t, m.name, m.values...), m.name) })
	}
	t.Run("helm3", func(t *testing.T) {
		r := newRelease(t, "helm3", modes[2].values...)
		r.helm3()
		install(t, r, modes[2].name)
	})
}

func install(t *testing.T, r *release, mode string) {
	if mode == "postgres-hook" {
		r.postgres()
	}
	r.do("install")
	r.do("test")
	url := "http://" + r.address("proxy-service", "http")
	albums := map[int64]string{}
	for _, title := range []string{"One", "Two", "Three"} {
		id, _, err := create(url, title)
		if err != nil {
			t.Fatal(err)
		}
		albums[id] = title
	}
	if lost := lost(url, albums); len(lost) > 0 {
		t.Error(lost)
	}
	if out := r.kubectl("get", "pods", "-o", `jsonpath={range .items[*].status.containerStatuses[?(@.restartCount>0)]}{.name} {end}`); out != "" {
		t.Errorf("restarted: %s", out)
	}
	// A schema that stores do not know must not be served.
	if mode != "memory" {
		if out := r.kubectl("get", "deployment", "lab-soundcheck-album-store", "-o", "jsonpath={.spec.template.spec.containers[0].args}"); !strings.Contains(out, "-migrate=check") {
			t.Errorf("arguments of the store: %s", out)
		}
	}
	if r.helm == "helm" {
		r.verify()
	}
}

// verify checks that all backends have what the services sent.
func (r *release) verify() {
	r.Helper()
	begun := time.Now()
	cmd := exec.CommandContext(r.Context(), programs+"/lab", "verify", "-env", "k8s", "-namespace", r.namespace, "-release", "lab", "-state", r.TempDir())
	cmd.Dir = "../../.." // the dashboards
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Errorf("lab verify -env k8s: %v\n%s", err, out)
	}
	r.Logf("lab verify -env k8s: %.0f s", time.Since(begun).Seconds())
}

// helm3 makes the release one of Helm 3.
func (r *release) helm3() {
	r.Helper()
	if _, err := exec.LookPath("helm3"); err != nil {
		r.Skip("helm3 is not in PATH")
	}
	r.helm = "helm3"
}

// postgres starts a PostgreSQL outside the release, from the image that the release would use, and creates the Secret
// albums-app with its URL.
func (r *release) postgres() {
	r.Helper()
	image := r.image("postgres")
	file := filepath.Join(r.TempDir(), "postgres.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(external, "IMAGE", image)), 0o600); err != nil {
		r.Fatal(err)
	}
	r.kubectl("apply", "-f", file)
	r.kubectl("rollout", "status", "statefulset/external", "--timeout="+ready)
}

// image is the image of a component, with the values of the tests.
func (r *release) image(component string) string {
	r.Helper()
	args := []string{"template", "lab", chart}
	args = append(args, r.values...)
	args = append(args, "--set", "database.kind=postgres,database.postgres.mode=internal,database.postgres.existingSecret=", "--show-only", "templates/"+component+".yaml")
	out, err := output(context.Background(), "helm", args...)
	if err != nil {
		r.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if _, image, found := strings.Cut(line, " image: "); found {
			return strings.Trim(strings.TrimSpace(image), `"`)
		}
	}
	r.Fatalf("%s.yaml has no image", component)
	return ""
}

const external = `
apiVersion: v1
kind: Secret
metadata: {name: albums-app}
stringData: {uri: "postgres://albums:external-password@external:5432/albums?sslmode=disable"}
---
apiVersion: v1
kind: Service
metadata: {name: external}
spec:
  clusterIP: None
  selector: {app: external}
  ports: [{name: postgres, port: 5432}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: external}
spec:
  serviceName: external
  selector: {matchLabels: {app: external}}
  template:
    metadata: {labels: {app: external}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, fsGroup: 999, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: postgres
          image: IMAGE
          env:
            - {name: POSTGRES_USER, value: albums}
            - {name: POSTGRES_DB, value: albums}
            - {name: POSTGRES_PASSWORD, value: external-password}
            - {name: PGDATA, value: /var/lib/postgresql/albums}
          readinessProbe:
            exec: {command: [pg_isready, -q, -h, 127.0.0.1, -U, albums, -d, albums]}
            periodSeconds: 1
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          volumeMounts:
            - {name: data, mountPath: /var/lib/postgresql}
      volumes:
        - name: data
          emptyDir: {}
`

package check

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// releases are names and namespaces that a chart must accept. The longest name of a release has 53 characters.
var releases = []release{
	lab,
	{name: "lab", namespace: "demo", revision: 1234567},
	{name: "my-soundcheck", namespace: "default", revision: 2},
	{name: "soundcheck", namespace: "lab", revision: 1},
	{name: "a.dotted.name", namespace: "lab", revision: 1},
	{name: strings.Repeat("long-", 10) + "end", namespace: strings.Repeat("n", 63), revision: 1},
	{name: strings.Repeat("a", 36) + "-soundcheck", namespace: "lab", revision: 1},
	{name: "lab", namespace: "demo", revision: 1, parent: "platform"},
}

// Every configuration, under each release, makes objects that a cluster accepts.
func TestRender(t *testing.T) {
	t.Parallel()
	for name, values := range configurations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, r := range releases {
				// Names depend on few values; rendering all of them with each release takes long.
				if i > 0 && !slices.Contains([]string{"postgres", "collectors", "edge", "gateway"}, name) {
					break
				}
				values := values
				if r.parent != "" {
					values = "soundcheck:\n  " + strings.ReplaceAll(values, "\n", "\n  ")
				}
				objects, wrong := decode(must(t, r, values))
				wrong = append(wrong, problems(objects, r.namespace, "albums-app")...)
				for _, p := range wrong {
					t.Errorf("release %s, revision %d: %s", r.name, r.revision, p)
				}
				if len(objects) < 20 {
					t.Errorf("release %s has only %d objects", r.name, len(objects))
				}
			}
		})
	}
}

// Values that the files in ci do not have.
func TestRenderValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"no optional component":  "{store: {enabled: false}, proxy: {enabled: false}, grafana: {enabled: false}, loki: {enabled: false}, console: {enabled: false}, dashboards: {enabled: false}}",
		"only services":          "{collector: {enabled: false}, telemetry: {endpoint: 'http://otel.monitoring:4318'}, console: {enabled: false}, jaeger: {enabled: false}, prometheus: {enabled: false}, grafana: {enabled: false}, loki: {enabled: false}}",
		"grafana, no sidecar":    "{dashboards: {enabled: false}}",
		"no network policies":    "{networkPolicies: {enabled: false}, database: {kind: postgres}}",
		"internal, arguments":    "{database: {kind: postgres, postgres: {args: [-c, max_connections=200], env: {TZ: UTC}, uid: 1000650000}}}",
		"no memory limits":       "{store: {resources: {limits: {memory: 1G}}}, proxy: {resources: {limits: {memory: 300000k}}}, collector: {resources: {limits: {memory: 1073741824}}}}",
		"names":                  "{nameOverride: lab, fullnameOverride: " + strings.Repeat("x", 37) + ", commonLabels: {team: lab}, images: {tag: " + strings.Repeat("v", 128) + "}}",
		"a registry with a port": "{images: {registry: 'k3d-soundcheck:5050/', pullSecrets: [regcred]}}",
		"edge, gateway, ingress": "{edge: {enabled: true}, gateway: {enabled: true, hostname: ''}, ingress: {enabled: true}}",
		"everything of the pods": "{pods: {priorityClassName: high, tolerations: [{key: a, operator: Exists}]}, store: {tolerations: [{key: b, operator: Exists}], affinity: {podAntiAffinity: {}}, nodeSelector: {a: b}, podAnnotations: {a: b}}}",
		"external store, hook":   "{store: {enabled: false}, externalStore: {url: 'http://a.example:9080,http://b.example:9080'}, database: {kind: postgres, postgres: {mode: external}}}",
		"other uids":             "{grafana: {enabled: false}, dashboards: {datasourceLabel: grafana_datasource, datasourceUids: {prometheus: sc-prometheus, loki: sc-loki}}}",
		"services, by component": "{service: {types: {proxy-service: LoadBalancer}, annotations: {proxy-service: {a.example/internal: 'true'}}, nodePorts: {proxy-service: {http: 30070}}}}",
		"store without proxy":    "{proxy: {enabled: false}, service: {types: {album-store: NodePort}, nodePorts: {album-store: {http: 30080}}}}",
		"uid of the cluster":     "{pods: {securityContext: {runAsUser: null, runAsGroup: null, fsGroup: 1000650000}}, store: {image: {registry: ecr.example/team}, terminationGracePeriodSeconds: 90}}",
		"small log files":        "{collector: {logsSize: 1Mi}, database: {kind: postgres, postgres: {nodeSelector: {disk: ssd}, tolerations: [{key: db, operator: Exists}]}}}",
		"collectors, traces":     "{console: {tracesPage: true}, service: {type: NodePort, nodePorts: {console: {console: 30330, traces: 30331}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, wrong := decode(must(t, lab, merge(t, registry, values)))
			for _, p := range append(wrong, problems(objects, lab.namespace)...) {
				t.Error(p)
			}
		})
	}
}

// Names that YAML reads as numbers or booleans stay text.
func TestNamesAsText(t *testing.T) {
	t.Parallel()
	r := release{name: "123", namespace: "1e3", revision: 1}
	const values = `{fullnameOverride: "on", nameOverride: "true", images: {pullSecrets: ["123"]}, pods: {priorityClassName: "1"},
		database: {kind: postgres, postgres: {storageClass: "1"}}, collector: {persistence: {storageClass: "true"}, k8sAttributes: {enabled: true}},
		store: {topologyKey: "1", env: {"YES": "1"}}, gateway: {enabled: true, className: "1"}, ingress: {enabled: true, className: "1", tlsSecret: "1", hostname: "1"},
		environment: "1.0", clusterDomain: "1", dashboards: {datasourceLabel: "1", label: "true", folderAnnotation: "2", folder: "3"}}`
	for _, more := range []string{"{}", `{database: {postgres: {mode: external, existingSecret: "1", existingSecretKey: "true"}}}`,
		`{store: {replicas: 1}, database: {kind: sqlite, sqlite: {storageClass: "1"}}}`} {
		objects, wrong := decode(must(t, r, merge(t, registry, merge(t, values, more))))
		for _, p := range append(wrong, problems(objects, r.namespace, "1")...) {
			t.Error(p)
		}
	}
}

// Helm 3 and Helm 4 render the same, and both do so twice. Only the generated password differs.
func TestBothHelms(t *testing.T) {
	t.Parallel()
	for name, values := range configurations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []release{{name: "lab", namespace: "demo", revision: 7}} {
				four, err := render4(t, r, values)
				if err != nil {
					t.Fatal(err)
				}
				again, err := render4(t, r, values)
				if err != nil {
					t.Fatal(err)
				}
				three, err := render3(t, r, values)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(name, "postgres") && !strings.HasSuffix(name, "external") {
					file := "soundcheck/templates/postgres.yaml"
					if four[file] == again[file] {
						t.Error("the password is the same for two releases")
					}
				}
				for file, text := range four {
					want := password.ReplaceAllString(text, "")
					if got := password.ReplaceAllString(again[file], ""); got != want {
						t.Errorf("%s is different the second time:\n%s\n%s", file, want, got)
					}
					if got := password.ReplaceAllString(three[file], ""); got != want {
						t.Errorf("%s of Helm 3 differs:\n%s", file, firstDifference(got, want))
					}
				}
				if len(four) != len(three) {
					t.Errorf("Helm 4 renders %d files, Helm 3 %d", len(four), len(three))
				}
			}
		})
	}
}

var password = regexp.MustCompile(`(?m)^  (password|uri): .*$`)

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: %q, want %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// cluster is one for lookup, with these objects by kind, namespace and name.
type cluster map[string]map[string]any

type client struct {
	dynamic.NamespaceableResourceInterface
	objects   cluster
	kind      string
	namespace string
}

func (c cluster) GetClientFor(_, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return client{objects: c, kind: kind}, true, nil
}

func (c client) Namespace(namespace string) dynamic.ResourceInterface {
	c.namespace = namespace
	return c
}

func (c client) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	if o := c.objects[c.kind+"/"+c.namespace+"/"+name]; o != nil {
		return &unstructured.Unstructured{Object: o}, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: c.kind}, name)
}

// The password of the database is generated once: an upgrade keeps that of the Secret.
func TestPassword(t *testing.T) {
	t.Parallel()
	const values = registry + "database: {kind: postgres}\n"
	secret := func(t *testing.T, files map[string]string, err error) map[string][]byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		objects, wrong := decode(documents(files))
		o := find(objects, "Secret", "lab-soundcheck-postgres")
		if o == nil || len(wrong) > 0 {
			t.Fatal("no Secret; ", wrong)
		}
		if o.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
			t.Error("helm uninstall deletes the password and keeps the volume")
		}
		return o.is.(*corev1.Secret).Data
	}
	for name, render := range map[string]func(*testing.T, release, string) (map[string]string, error){"Helm 4": render4, "Helm 3": render3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := lab
			r.cluster = cluster{}
			files, err := render(t, r, values)
			first := secret(t, files, err)
			if len(first["password"]) != 32 || !strings.Contains(string(first["uri"]), ":"+string(first["password"])+"@lab-soundcheck-postgres.demo.svc.cluster.local:5432/") {
				t.Errorf("%q", first)
			}
			old := map[string]any{"data": map[string]any{"password": base64.StdEncoding.EncodeToString([]byte("old password"))}}
			r.revision, r.cluster = 2, cluster{"Secret/demo/lab-soundcheck-postgres": old}
			files, err = render(t, r, values)
			if got := secret(t, files, err); string(got["password"]) != "old password" || !strings.Contains(string(got["uri"]), ":old password@") {
				t.Errorf("%q, want the old password", got)
			}
			// Another namespace has another release.
			r.cluster = cluster{"Secret/other/lab-soundcheck-postgres": old}
			files, err = render(t, r, values)
			if got := secret(t, files, err); string(got["password"]) == "old password" {
				t.Error("the password is that of another namespace")
			}
		})
	}
}

var forward = regexp.MustCompile(`kubectl -n (\S+) port-forward svc/(\S+) ([\d ]+)`)

// The notes name Services and ports that exist.
func TestNotes(t *testing.T) {
	t.Parallel()
	for name, values := range configurations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := render4(t, lab, values)
			if err != nil {
				t.Fatal(err)
			}
			notes := files["soundcheck/templates/NOTES.txt"]
			objects, _ := decode(documents(files))
			commands := forward.FindAllStringSubmatch(notes, -1)
			if len(commands) == 0 || !strings.Contains(notes, "helm test lab -n demo") || strings.Contains(notes, "%!") {
				t.Errorf("the notes lack commands:\n%s", notes)
			}
			for _, m := range commands {
				o := find(objects, "Service", m[2])
				if m[1] != lab.namespace || o == nil {
					t.Errorf("%s: no such Service", m[0])
					continue
				}
				for _, port := range strings.Fields(m[3]) {
					number, _ := strconv.Atoi(port)
					if !slices.ContainsFunc(o.is.(*corev1.Service).Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == int32(number) }) {
						t.Errorf("%s: it has no port %s", m[0], port)
					}
				}
			}
			for _, o := range objects {
				if job := "logs job/" + o.GetName(); o.kind == "Job" && !o.hook() && !strings.Contains(notes, job+"\n") {
					t.Errorf("the notes lack %s:\n%s", job, notes)
				}
			}
		})
	}
}

// merge is one YAML map with another over it.
func merge(t *testing.T, base, over string) string {
	t.Helper()
	var put func(to, from map[string]any)
	put = func(to, from map[string]any) {
		for k, v := range from {
			if a, ok := to[k].(map[string]any); ok {
				if b, ok := v.(map[string]any); ok {
					a = maps.Clone(a)
					put(a, b)
					to[k] = a
					continue
				}
			}
			to[k] = v
		}
	}
	m := parse(t, base)
	put(m, parse(t, over))
	return toYAML(t, m)
}

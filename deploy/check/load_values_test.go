package check

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Helm 3 and Helm 4 render the same. Only the generated token differs.
func TestLoadBothHelms(t *testing.T) {
	t.Parallel()
	generated := regexp.MustCompile(`(?m)^  token: .*$`)
	for name, values := range loadValues {
		four, err := render4(t, loadTest, merge(t, loadImage, values))
		if err != nil {
			t.Fatal(err)
		}
		three, err := render3(t, loadTest, merge(t, loadImage, values))
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range four {
			want := generated.ReplaceAllString(text, "")
			if got := generated.ReplaceAllString(three[file], ""); got != want {
				t.Errorf("%s: %s of Helm 3 differs:\n%s", name, file, firstDifference(got, want))
			}
		}
	}
}

func TestLoadSchema(t *testing.T) {
	t.Parallel()
	differ, values := chartSchema(t, loadDir)
	for _, d := range differ(values) {
		t.Error(d)
	}
	for _, tt := range []bad{
		{"replicas: 3", `additional properties 'replicas' not allowed`},
		{"image: {registry: a.example}", `at '/image': additional properties 'registry' not allowed`},
		{"image: {repository: 'https://a.example/b'}", `at '/image/repository': 'https://a.example/b' does not match pattern`},
		{"image: {repository: 'a.example/b:4f'}", `at '/image/repository': 'a.example/b:4f' does not match pattern`},
		{"image: {tag: latest}", `at '/image/tag': 'not' failed`},
		{"image: {tag: 4}", `at '/image/tag': got number, want string`},
		{"image: {digest: 4f}", `at '/image/digest': '4f' does not match pattern`},
		{"image: {pullPolicy: Sometimes}", `at '/image/pullPolicy': value must be one of`},
		{"imagePullSecrets: [{name: a}]", `at '/imagePullSecrets/0': got object, want string`},
		{"args: -rate=1", `at '/args': got string, want array`},
		{"args: [-rate, 100]", `at '/args/1': got number, want string`},
		{"capacity: 'yes'", `at '/capacity': got string, want boolean`},
		{"workers: 0", `at '/workers': minimum: got 0, want 1`},
		{"workers: 1001", `at '/workers': maximum: got 1,001, want 1,000`},
		{"workers: 1.5", `at '/workers': got number, want integer`},
		{"workers: '2'", `at '/workers': got string, want integer`},
		{"token: short", `at '/token': 'short' does not match pattern`},
		{"secretEnv: {a-b: c}", `at '/secretEnv': additional properties 'a-b' not allowed`},
		{"secretEnv: {A: 1}", `at '/secretEnv/A': got number, want string`},
		{"files: {a/b: c}", `at '/files': additional properties 'a/b' not allowed`},
		{"files: {a: 1}", `at '/files/a': got number, want string`},
		{"otlp: {endpoint: 'otel:4318'}", `at '/otlp/endpoint': 'otel:4318' does not match pattern`},
		{"otlp: {protocol: http/json}", `at '/otlp/protocol': value must be one of 'http/protobuf', 'grpc'`},
		{"worker: {replicas: 2}", `at '/worker': additional properties 'replicas' not allowed`},
		{"worker: {resources: {limit: {}}}", `at '/worker/resources': additional properties 'limit' not allowed`},
		{"worker: {env: [{name: A, value: b}]}", `at '/worker/env': got array, want object`},
		{"coordinator: {affinity: {}}", `at '/coordinator': additional properties 'affinity' not allowed`},
		{"activeDeadlineSeconds: 59", `at '/activeDeadlineSeconds': minimum: got 59, want 60`},
		{"ttlSecondsAfterFinished: -1", `at '/ttlSecondsAfterFinished': minimum: got -1, want 0`},
	} {
		rejected(t, loadTest, merge(t, loadImage, tt.values), tt.want)
	}
}

// loadContradictions are values that the schema accepts and the chart does not, with the message of each.
var loadContradictions = []bad{
	{"image: {repository: ''}", "image.repository is not set: the image of loadgen, which is published nowhere. go run ./deploy push builds it, pushes it to a registry and prints its name; loadgen k8s takes the one of the lab"},
	{"image: {tag: ''}", "image registry.example:5000/soundcheck/loadgen has neither image.tag nor image.digest: set a version"},
	{"args: [-workers=3]", "args has -workers=3: remove it; set the value workers"},
	{"args: [-rate, '1', --workers, '3']", "args has --workers: remove it; set the value workers"},
	{"args: ['-listen=:1']", "args has -listen=:1: remove it; the chart sets the port"},
	{"args: [-token, a]", "args has -token: remove it; set the value token"},
	{"args: [-join, a]", "args has -join: remove it; the chart sets it for the workers"},
	{"args: [-shard, 1/2]", "args has -shard: remove it; the coordinator sets it for each worker"},
	{"args: [-start-at, a]", "args has -start-at: remove it; the coordinator sets it for each worker"},
	{"args: [-out=a]", "args has -out=a: remove it; the file would be lost with the pod. The report is in the coordinator's log"},
	{"args: [-record, a]", "args has -record: remove it; the file would be lost with the pod"},
	{"args: [capacity, -rate, '1']", `args begins with "capacity", which is no flag: write flags as [-rate, "100"], and set capacity=true for loadgen capacity`},
	{"worker: {resources: {limits: {memory: 1.5Gi}}}", `resources.limits.memory "1.5Gi": write an integer with Ki, Mi, Gi, Ti, k, M, G, T or no unit`},
}

func TestLoadContradictions(t *testing.T) {
	t.Parallel()
	const digit = "the name of release 1run begins with a digit, with which no Service's name may begin: choose another one"
	const upgrade = "release run-1 is a run already, and a release is one run: install another release, or remove this one first (helm uninstall run-1 -n demo)"
	const latest = "image.tag is latest: set a version of image registry.example:5000/soundcheck/loadgen"
	messages := []string{digit, upgrade, latest}
	for _, tt := range loadContradictions {
		fails(t, loadTest, merge(t, loadImage, tt.values), tt.want)
		messages = append(messages, tt.want)
	}
	r := loadTest
	r.name = "1run"
	fails(t, r, loadImage, digit)
	r = loadTest
	r.revision = 2
	fails(t, r, loadImage, upgrade)
	r = loadTest
	r.noSchema = true
	if _, err := render4(t, r, merge(t, loadImage, "image: {tag: latest}")); err == nil || !strings.HasSuffix(err.Error(), ": "+latest) {
		t.Errorf("%v, want %s", err, latest)
	}
	messagesHaveRows(t, loadDir, messages, 8)
	// A value may look like a flag's name.
	must(t, loadTest, merge(t, loadImage, "args: [-workersx, out, -url, 'http://a/-out=1']"))
}

var jobName = regexp.MustCompile(`(?:job/|batch\.kubernetes\.io/job-name=)(\S+)`)

// The notes name Jobs that exist.
func TestLoadNotes(t *testing.T) {
	t.Parallel()
	for _, r := range loadReleases {
		files, err := render4(t, r, loadImage)
		if err != nil {
			t.Fatal(err)
		}
		notes := files["soundcheck-load/templates/NOTES.txt"]
		objects, _ := decode(documents(files))
		names := jobName.FindAllStringSubmatch(notes, -1)
		if len(names) != 2 || strings.Contains(notes, "%!") || !strings.Contains(notes, "helm uninstall "+r.name+" -n "+r.namespace+"\n") {
			t.Errorf("%s", notes)
		}
		for _, m := range names {
			if find(objects, "Job", m[1]) == nil {
				t.Errorf("there is no Job %s:\n%s", m[1], notes)
			}
		}
	}
}

// A release of the lab has the defaults of loadgen k8s in a ConfigMap, and its policies admit load tests.
func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values string
		want   map[string]string
	}{
		{"{}", map[string]string{
			"image":  "registry.example/lab/soundcheck/loadgen:dev",
			"url":    "http://lab-soundcheck-proxy-service.demo.svc.cluster.local:9070",
			"jaeger": "http://lab-soundcheck-jaeger.demo.svc.cluster.local:16696",
			"otlp":   "http://lab-soundcheck-otel-collector.demo.svc.cluster.local:4318",
			"traces": "lab-soundcheck-jaeger",
		}},
		{"{console: {tracesPage: true}}", map[string]string{
			"traces": "lab-soundcheck-console",
		}},
		{"{loadgen: {image: {registry: other.example, tag: v2}}, telemetry: {endpoint: 'http://otel:4318'}, jaeger: {enabled: false, externalOtlp: 'j:4318', externalUrl: 'http://j:16686/'}}", map[string]string{
			"image": "other.example/soundcheck/loadgen:v2", "otlp": "http://otel:4318", "jaeger": "http://j:16686",
		}},
		{"{collector: {enabled: false}, console: {enabled: false}, grafana: {enabled: false}, jaeger: {enabled: false}, telemetry: {endpoint: 'http://otel:4318'}}", map[string]string{"jaeger": "", "traces": ""}},
	} {
		objects, _ := decode(must(t, lab, merge(t, registry, tt.values)))
		o := find(objects, "ConfigMap", "lab-soundcheck-load")
		if o == nil || o.GetLabels()["app.kubernetes.io/component"] != "load" || o.GetLabels()["app.kubernetes.io/part-of"] != "soundcheck" {
			t.Fatalf("%s: %v", tt.values, o)
		}
		data := o.is.(*corev1.ConfigMap).Data
		for key, want := range tt.want {
			if got, ok := data[key]; got != want || !ok || len(data) != 5 {
				t.Errorf("%s: %s is %q, want %q", tt.values, key, got, want)
			}
		}
	}
	objects, _ := decode(must(t, lab, merge(t, registry, "networkPolicies: {from: [{namespaceSelector: {matchLabels: {a: b}}}]}")))
	workers, _ := decode(must(t, release{name: "run-1", namespace: "demo", chart: loadDir, revision: 1}, loadImage))
	worker := find(workers, "Job", "run-1-worker")
	for name, port := range map[string]int32{"proxy-service": 9070, "otel-collector": 4318, "jaeger": 16696} {
		for _, o := range objects {
			if o.pod != nil && o.pod.Labels["app.kubernetes.io/component"] == name && !allowed(objects, worker, o, port) {
				t.Errorf("a NetworkPolicy rejects calls of workers to %s", o)
			}
		}
	}
}

// The example of docs/kubernetes.md renders, and calls what a lab has.
func TestLoadPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?s)helm install (\S+) deploy/charts/soundcheck-load --namespace (\S+) -f - <<'EOF'\n(.*?\n)EOF\n`).FindSubmatch(page)
	if example == nil {
		t.Fatal("there is no example")
	}
	r := release{name: string(example[1]), namespace: string(example[2]), chart: loadDir, revision: 1}
	values := strings.NewReplacer("REGISTRY", "registry.example", "TAG", "4f").Replace(string(example[3]))
	objects, wrong := decode(must(t, r, values))
	for _, p := range append(wrong, problems(objects, r.namespace)...) {
		t.Error(p)
	}
	soundcheck, _ := decode(must(t, release{name: "soundcheck", namespace: r.namespace, revision: 1}, registry))
	addresses := regexp.MustCompile(`http://([a-z-]+):(\d+)`).FindAllStringSubmatch(values, -1)
	for _, a := range addresses {
		s := find(soundcheck, "Service", a[1])
		if s == nil || !slices.ContainsFunc(s.is.(*corev1.Service).Spec.Ports, func(p corev1.ServicePort) bool { return strconv.Itoa(int(p.Port)) == a[2] }) {
			t.Errorf("a lab has no %s", a[0])
		}
	}
	if len(addresses) != 2 || !strings.Contains(string(page), "job/"+find(objects, "Job", r.name+"-coordinator").GetName()) {
		t.Errorf("%d addresses", len(addresses))
	}
}

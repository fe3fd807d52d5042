package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// loadTest is a release of the chart soundcheck-load.
var loadTest = release{name: "run-1", namespace: "demo", chart: loadDir, revision: 1}

// loadImage are values that the chart always needs.
const loadImage = "image: {repository: 'registry.example:5000/soundcheck/loadgen', tag: 4f}\n"

// loadValues are the ways to run a load test.
var loadValues = map[string]string{
	"defaults": "{}",
	"capacity": "{capacity: true, args: [-slo, 'p99<100ms'], workers: 1}",
	"large":    "{workers: 1000, args: [-rate, '1000000'], activeDeadlineSeconds: 604800, ttlSecondsAfterFinished: 0}",
	"digest":   "{image: {tag: '', digest: 'sha256:" + strings.Repeat("a", 64) + "', pullPolicy: Always}, imagePullSecrets: ['123']}",
	"files":    "{args: [-targets, targets.txt], files: {targets.txt: \"GET http://a/{{id}}\\n\", The_rows-1.csv: \"id\\n\u00e9\\n\"}}",
	"all": `{args: [--rate=100, -url, 'http://lab-soundcheck-proxy-service.demo:9070'], token: "0123456789abcdef", otlp: {endpoint: 'http://otel:4317', protocol: grpc},
		securityContext: {fsGroup: 1000650000, runAsUser: 1000650000},
		worker: {resources: {requests: {cpu: 2, memory: 300000k}, limits: {memory: 1G, cpu: 4}}, nodeSelector: {a: "1"}, tolerations: [{key: load, operator: Exists}], affinity: {podAntiAffinity: {}}, env: {GOGC: 400, 'YES': true}},
		coordinator: {resources: {limits: {memory: 1073741824}}, nodeSelector: {b: "1"}, tolerations: [{key: load, operator: Exists}], env: {GOMEMLIMIT: null}}}`,
}

// loadReleases are names and namespaces that the chart must accept.
var loadReleases = []release{
	loadTest,
	{name: "soundcheck", namespace: "1e3", chart: loadDir, revision: 1},
	{name: "a.dotted.name", namespace: "default", chart: loadDir, revision: 1},
	{name: strings.Repeat("long-", 10) + "end", namespace: strings.Repeat("n", 63), chart: loadDir, revision: 1},
	{name: strings.Repeat("x", 45), namespace: "lab", chart: loadDir, revision: 1},
	{name: strings.Repeat("x", 36) + ".y" + strings.Repeat("z", 15), namespace: "lab", chart: loadDir, revision: 1},
}

// Every load test makes objects that a cluster accepts, and secure pods.
func TestLoad(t *testing.T) {
	t.Parallel()
	for name, values := range loadValues {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range loadReleases {
				objects, wrong := decode(must(t, r, merge(t, loadImage, values)))
				wrong = append(wrong, problems(objects, r.namespace)...)
				for _, o := range objects {
					if o.GetLabels()["app.kubernetes.io/part-of"] != "soundcheck-load" {
						wrong = append(wrong, fmt.Sprintf("%s: labels %v", o, o.GetLabels()))
					}
					if o.pod != nil {
						wrong = append(wrong, insecure(o)...)
						wrong = append(wrong, longNames(o)...)
					}
				}
				for _, p := range wrong {
					t.Errorf("release %s: %s", r.name, p)
				}
				want := 7
				if name == "files" {
					want = 8
				}
				if len(objects) != want {
					t.Errorf("release %s has %d objects, want %d", r.name, len(objects), want)
				}
			}
		})
	}
}

// longNames are the names that Kubernetes derives from a Job's which would be cut or rejected.
func longNames(o *object) (list []string) {
	job := o.is.(*batchv1.Job)
	host := job.Name
	if job.Spec.CompletionMode != nil && *job.Spec.CompletionMode == batchv1.IndexedCompletion {
		host = fmt.Sprintf("%s-%d", job.Name, *job.Spec.Completions-1)
	}
	for _, name := range []string{host, host + "-abcde"} {
		if e := validation.IsDNS1123Label(name); len(e) > 0 {
			list = append(list, fmt.Sprintf("%s: name %s of a pod: %v", o, name, e))
		}
	}
	return list
}

// Releases whose long names differ only at the end have different resources.
func TestLoadNames(t *testing.T) {
	t.Parallel()
	r := loadTest
	seen := map[string]bool{}
	for _, end := range []string{"-01", "-02", ".02"} {
		r.name = strings.Repeat("a", 50) + end
		objects, _ := decode(must(t, r, loadImage))
		for _, o := range objects {
			if seen[o.String()] {
				t.Errorf("%s of release %s is there already", o, r.name)
			}
		}
		for _, o := range objects {
			seen[o.String()] = true
		}
	}
	if len(seen) != 3*7 {
		t.Errorf("%d objects: %v", len(seen), seen)
	}
}

// longNames finds a name that fits with 10 workers, and not with 1000.
func TestLongNames(t *testing.T) {
	t.Parallel()
	mode := batchv1.IndexedCompletion
	for workers, want := range map[int32]int{10: 0, 1000: 1} {
		job := &batchv1.Job{Spec: batchv1.JobSpec{CompletionMode: &mode, Completions: &workers}}
		job.Name = strings.Repeat("a", 55)
		if got := longNames(&object{Object: job, kind: "Job", is: job}); len(got) != want {
			t.Errorf("%d workers: %q, want %d", workers, got, want)
		}
	}
}

// The workers' Job ends with its first worker that fails, and replaces none.
func TestLoadJobs(t *testing.T) {
	t.Parallel()
	objects, _ := decode(must(t, loadTest, merge(t, loadImage, "{workers: 3, args: [-rate, '100'], capacity: true}")))
	worker := find(objects, "Job", "run-1-worker").is.(*batchv1.Job).Spec
	coordinator := find(objects, "Job", "run-1-coordinator").is.(*batchv1.Job).Spec
	if *worker.CompletionMode != batchv1.IndexedCompletion || *worker.Completions != 3 || *worker.Parallelism != 3 || coordinator.CompletionMode != nil {
		t.Errorf("workers: %+v", worker)
	}
	for name, s := range map[string]batchv1.JobSpec{"worker": worker, "coordinator": coordinator} {
		c := s.Template.Spec.Containers[0]
		if *s.BackoffLimit != 0 || s.Template.Spec.RestartPolicy != corev1.RestartPolicyNever || *s.ActiveDeadlineSeconds != 14400 || *s.TTLSecondsAfterFinished != 3600 {
			t.Errorf("%s: %+v", name, s)
		}
		if c.LivenessProbe != nil || c.ReadinessProbe != nil || c.StartupProbe != nil {
			t.Errorf("%s has probes", name)
		}
		if !c.Resources.Limits.Cpu().IsZero() || c.Resources.Requests.Cpu().IsZero() || !c.Resources.Requests.Memory().Equal(*c.Resources.Limits.Memory()) {
			t.Errorf("%s: want a CPU request without limit, and memory whose request is the limit: %v", name, c.Resources)
		}
	}
	rules := worker.PodFailurePolicy.Rules
	if len(rules) != 2 || rules[0].Action != batchv1.PodFailurePolicyActionFailJob || rules[1].Action != batchv1.PodFailurePolicyActionFailJob ||
		rules[0].OnPodConditions[0].Type != corev1.DisruptionTarget || rules[0].OnPodConditions[0].Status != corev1.ConditionTrue ||
		rules[1].OnExitCodes.Operator != batchv1.PodFailurePolicyOnExitCodesOpNotIn || !slices.Equal(rules[1].OnExitCodes.Values, []int32{0}) {
		t.Errorf("rules %+v", rules)
	}
	pod := worker.Template.Spec
	if s := pod.TopologySpreadConstraints[0]; s.TopologyKey != "kubernetes.io/hostname" || s.WhenUnsatisfiable != corev1.ScheduleAnyway || s.LabelSelector.MatchLabels["app.kubernetes.io/component"] != "worker" {
		t.Errorf("workers are spread by %+v", s)
	}
	if *pod.TerminationGracePeriodSeconds != 20 || pod.ServiceAccountName != "" {
		t.Errorf("workers: %d seconds to end, service account %q", *pod.TerminationGracePeriodSeconds, pod.ServiceAccountName)
	}
	if got, want := pod.Containers[0].Args, []string{"-join", "http://run-1-coordinator:7070"}; !slices.Equal(got, want) {
		t.Errorf("workers have %q, want %q", got, want)
	}
	if got, want := coordinator.Template.Spec.Containers[0].Args, []string{"coordinate", "capacity", "-workers", "3", "-rate", "100"}; !slices.Equal(got, want) {
		t.Errorf("the coordinator has %q, want %q", got, want)
	}
	s := find(objects, "Service", "run-1-coordinator").is.(*corev1.Service).Spec
	if !s.PublishNotReadyAddresses || s.Ports[0].Port != 7070 {
		t.Errorf("Service: %+v", s)
	}
}

// The coordinator alone has a token of the API server, and may read pods of its namespace only.
func TestLoadPermissions(t *testing.T) {
	t.Parallel()
	objects, _ := decode(must(t, loadTest, loadImage))
	rules := find(objects, "Role", "run-1-coordinator").is.(*rbacv1.Role).Rules
	if len(rules) != 1 || !slices.Equal(rules[0].Resources, []string{"pods"}) || !slices.Equal(rules[0].Verbs, []string{"list"}) {
		t.Errorf("rules %+v", rules)
	}
	for _, name := range []string{"worker", "coordinator"} {
		pod := find(objects, "Job", "run-1-"+name).pod.Spec
		token := slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Projected != nil })
		if want := name == "coordinator"; token != want || (pod.ServiceAccountName != "") != want {
			t.Errorf("%s has a token: %t, service account %q", name, token, pod.ServiceAccountName)
		}
	}
	coordinator := environment(container(t, objects, "coordinator"))
	if coordinator["SOUNDCHECK_LOADGEN_PODS"] != "demo/run-1-worker" {
		t.Errorf("coordinator: %q", coordinator)
	}
}

func TestLoadEnvironment(t *testing.T) {
	t.Parallel()
	objects, _ := decode(must(t, loadTest, loadImage))
	all, _ := decode(must(t, loadTest, merge(t, loadImage, loadValues["all"])))
	off, on := environment(container(t, objects, "worker")), environment(container(t, all, "worker"))
	// 80% of 512 MiB and of 1 GB.
	if off["OTEL_SDK_DISABLED"] != "true" || off["OTEL_EXPORTER_OTLP_ENDPOINT"] != "" || off["GOMEMLIMIT"] != "429496729" || !strings.Contains(off["SOUNDCHECK_LOADGEN_TOKEN"], "Key:token") {
		t.Errorf("without telemetry: %q", off)
	}
	if on["OTEL_SDK_DISABLED"] != "" || on["OTEL_EXPORTER_OTLP_ENDPOINT"] != "http://otel:4317" || on["OTEL_EXPORTER_OTLP_PROTOCOL"] != "grpc" || !strings.HasSuffix(on["OTEL_RESOURCE_ATTRIBUTES"], ",k8s.container.name=worker") ||
		on["GOGC"] != "400" || on["YES"] != "true" || on["GOMEMLIMIT"] != "800000000" {
		t.Errorf("with telemetry: %q", on)
	}
	c := environment(container(t, all, "coordinator"))
	if _, ok := c["GOMEMLIMIT"]; ok {
		t.Errorf("null does not remove a name: %q", c)
	}
	if r := container(t, all, "coordinator").Resources; r.Requests.Memory().Value() != 1<<30 || r.Requests.Cpu().String() != "100m" {
		t.Errorf("resources of the coordinator: %v", r)
	}
	if r := container(t, all, "worker").Resources; r.Requests.Memory().Value() != 300_000_000 {
		t.Errorf("resources of a worker: %v", r)
	}
}

// The token is random, unless it is set.
func TestLoadToken(t *testing.T) {
	t.Parallel()
	token := func(values string) string {
		objects, _ := decode(must(t, loadTest, merge(t, loadImage, values)))
		return string(find(objects, "Secret", "run-1-token").is.(*corev1.Secret).Data["token"])
	}
	if a, b := token("{}"), token("{}"); len(a) != 32 || a == b {
		t.Errorf("tokens %q and %q, want two of 32 characters", a, b)
	}
	if got := token(`{token: "0123456789abcdef=="}`); got != "0123456789abcdef==" {
		t.Errorf("token %q", got)
	}
}

// Secret environment is in the Secret, and only the coordinator has it.
func TestLoadSecretEnvironment(t *testing.T) {
	t.Parallel()
	documents := must(t, loadTest, merge(t, loadImage, "{secretEnv: {SOUNDCHECK_LOADGEN_H: 'A: hidden\n\nB: c'}}"))
	objects, _ := decode(documents)
	if got := string(find(objects, "Secret", "run-1-token").is.(*corev1.Secret).Data["SOUNDCHECK_LOADGEN_H"]); got != "A: hidden\nB: c" {
		t.Errorf("the Secret has %q", got)
	}
	text := ""
	for _, d := range documents {
		text += d.text
	}
	if strings.Contains(text, "hidden") || strings.Count(text, "name: \"SOUNDCHECK_LOADGEN_H\"") != 1 {
		t.Errorf("the environment, in\n%s", text)
	}
}

// Files are in a Secret, which only the coordinator has, as its working directory.
func TestLoadFiles(t *testing.T) {
	t.Parallel()
	objects, _ := decode(must(t, loadTest, merge(t, loadImage, loadValues["files"])))
	data := find(objects, "Secret", "run-1-files").is.(*corev1.Secret).Data
	if len(data) != 2 || string(data["targets.txt"]) != "GET http://a/{{id}}\n" || string(data["The_rows-1.csv"]) != "id\né\n" {
		t.Errorf("the Secret has %q", data)
	}
	for _, name := range []string{"worker", "coordinator"} {
		pod := find(objects, "Job", "run-1-"+name).pod.Spec
		c := pod.Containers[0]
		volume := slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Secret != nil && v.Secret.SecretName == "run-1-files" })
		mount := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "files" && m.MountPath == c.WorkingDir && m.ReadOnly })
		if want := name == "coordinator"; volume != want || mount != want || (c.WorkingDir != "") != want {
			t.Errorf("%s: volume %t, mount %t, working directory %q", name, volume, mount, c.WorkingDir)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var none = []string{"up", "-images", "none", "-registry", "localhost:1"}

// Each reason why a release cannot work is one line that names the fix, before anything is changed.
func TestChecks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes map[string]string
		args    []string // after none
		want    string
	}{
		{"old kubectl", map[string]string{"client": `{"clientVersion":{"gitVersion":"v1.20.2"}}`}, nil,
			"deploy: kubectl v1.20.2 is older than 1.27: install kubectl: https://kubernetes.io/docs/tasks/tools\n"},
		{"old helm", map[string]string{"helm": "v3.17.3"}, nil,
			"deploy: helm v3.17.3 is older than 3.18: install Helm 4, or 3.18 or later: https://helm.sh/docs/intro/install\n"},
		{"no context", map[string]string{"context.error": "error: current-context is not set"}, nil,
			"deploy: no current context: choose one with -context or kubectl config use-context: lab, other\n"},
		{"no cluster", map[string]string{"context.error": "error: current-context is not set", "contexts": "\n"}, nil,
			"deploy: no cluster in your kubeconfig: create one (make k3d-up), or set KUBECONFIG (MicroK8s: microk8s config >~/.kube/config)\n"},
		{"unknown context", nil, []string{"-context", "prod"},
			`deploy: -context "prod" is not in your kubeconfig: there is lab, other` + "\n"},
		{"cluster is down", map[string]string{"server.error": "E0101 noise\nThe connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port? dial tcp: connection refused"}, nil,
			"deploy: the cluster of context lab is unreachable: start it (k3d cluster start, microk8s start), or choose another one with -context (The connection"},
		{"login has ended", map[string]string{"server.error": "error: You must be logged in to the server (Unauthorized)"}, nil,
			"deploy: the cluster of context lab is unreachable: log in again, "},
		{"old cluster", map[string]string{"server": `{"serverVersion":{"gitVersion":"v1.29.4"}}`}, nil,
			"deploy: the cluster of context lab runs Kubernetes 1.29, older than 1.30: upgrade it, or choose another one with -context\n"},
		{"contradictory values", map[string]string{"template.error": "Error: execution error at (soundcheck/templates/validate.yaml:3:4): store.replicas is 2 with database.kind memory: set store.replicas=1\n\nUse --debug flag"}, nil,
			"deploy: values: store.replicas is 2 with database.kind memory: set store.replicas=1\n"},
		{"unknown values", map[string]string{"template.error": "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nsoundcheck:\n- at '/jaeger': additional properties 'foo' not allowed\n- at '': additional properties 'bar' not allowed\n"}, nil,
			"deploy: values: at '/jaeger': additional properties 'foo' not allowed\nvalues: at '': additional properties 'bar' not allowed\n"},
		{"namespace is being deleted", map[string]string{"namespace": `{"status":{"phase":"Terminating"}}`}, nil,
			"deploy: namespace soundcheck is being deleted: wait until it is"},
		{"helm was killed", map[string]string{"release.error": "", "release": `{"info":{"status":"pending-upgrade"}}`}, nil,
			"deploy: release soundcheck is pending-upgrade: another helm is changing it, or was killed. Wait for it, or helm rollback soundcheck --namespace soundcheck --kube-context lab\n"},
		{"helm cannot read the release", map[string]string{"release.error": `Error: kubernetes cluster unreachable: exec: "auth-plugin": executable file not found in $PATH`}, nil,
			`deploy: helm: kubernetes cluster unreachable: exec: "auth-plugin": executable file not found in $PATH` + "\n"},
		{"no permission", map[string]string{"reviews": strings.ReplaceAll(works["reviews"], "true", "false")}, nil,
			"deploy: context lab has no permission in namespace soundcheck to create deployments.apps: ask an administrator"},
		{"no default storage class", map[string]string{"classes": `{"items":[{"metadata":{"name":"slow"}}]}`}, nil,
			"deploy: no default storage class for the volumes of soundcheck-jaeger: set storageClass there (there is slow), or persistence.enabled=false\n"},
		{"unknown storage class", map[string]string{"template": strings.ReplaceAll(works["template"], "{accessModes", "{storageClassName: fast, accessModes")}, nil,
			`deploy: storageClass "fast" of soundcheck-jaeger is not in the cluster: there is local-path` + "\n"},
		{"no Gateway API", map[string]string{"template": "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"}, nil,
			"deploy: the cluster does not have HTTPRoute of gateway.networking.k8s.io/v1: install the Gateway API (kubectl apply --server-side -f https://"},
		{"no such Ingress class", map[string]string{"template": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: {ingressClassName: nginx}\n"}, nil,
			`deploy: ingress.className "nginx" is not in the cluster: install its controller, or set another one (there is traefik)` + "\n"},
		{"no registry", nil, []string{"-registry", ""},
			"deploy: -registry HOST:PORT is needed: our images are published nowhere, and the cluster of context lab advertises no registry."},
		{"nothing loads", nil, []string{"-images", "local", "-registry", ""},
			"deploy: -images local needs -load COMMAND, which loads archives into the nodes, or -registry HOST:PORT"},
		{"registry is down", map[string]string{"template": strings.ReplaceAll(works["template"], "jaegertracing/jaeger:2.13.0", "localhost:1/soundcheck/console:4f")}, nil,
			"registry localhost:1 does not respond (connect: connection refused): start it"},
		{"nodes of an unknown platform", map[string]string{"nodes": strings.ReplaceAll(works["nodes"], "amd64", "riscv64")}, nil,
			`deploy: platform "linux/riscv64" is not linux/amd64 or linux/arm64: set -platform`},
		{"two at once", map[string]string{"classes": `{"items":[]}`, "reviews": strings.ReplaceAll(works["reviews"], "true", "false")}, nil,
			"\nno default storage class for the volumes of soundcheck-jaeger: set storageClass there (there is none), "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := stub(t, tt.changes)
			_, stderr, code := deploy(t.Context(), append(append([]string(nil), none...), tt.args...)...)
			if code == 0 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, %q, want %q", code, stderr, tt.want)
			}
			if strings.Contains(calls(t, state), "helm upgrade") {
				t.Error("the release was changed")
			}
		})
	}
}

// A program that is not there is named with the place to get it.
func TestPrograms(t *testing.T) {
	for name, want := range map[string]string{
		"kubectl": "kubectl command not found: install kubectl: https://kubernetes.io/docs/tasks/tools",
		"helm":    "helm command not found: install Helm 4, or 3.18 or later: https://helm.sh/docs/intro/install",
	} {
		state := stub(t, nil)
		dir := filepath.Dir(state)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		cat, err := exec.LookPath("cat") // which the stubs call
		if err == nil {
			err = os.Symlink(cat, filepath.Join(dir, "cat"))
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		if _, stderr, code := deploy(t.Context(), none...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %q, want %q", name, code, stderr, want)
		}
	}
}

func aPod(status string) string {
	return `{"items":[{"kind":"Pod","metadata":{"name":"jaeger-0","uid":"1","labels":{"app.kubernetes.io/component":"jaeger"}},"status":` + status + `}]}`
}

const job = `{"items":[
{"kind":"Job","metadata":{"name":"migrate-2","uid":"2","labels":{"app.kubernetes.io/component":"jaeger"}},"status":{"conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded","message":"Job has reached\nthe limit"}]}},
{"kind":"Pod","metadata":{"name":"migrate-2-x","uid":"3","labels":{"app.kubernetes.io/component":"jaeger"},"ownerReferences":[{"kind":"Job","name":"migrate-2"}]},"status":{"containerStatuses":[{"name":"migrate","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}}]}`

// A pod that cannot become ready ends the wait: helm is interrupted, and the error has the reason.
func TestUpgradeFails(t *testing.T) {
	for _, tt := range []struct {
		name, pods, want string
		log              bool
	}{
		{"image", aPod(`{"containerStatuses":[{"name":"jaeger","image":"a/b:1","state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"a/b:1\": ErrImagePull: failed to pull and unpack image \"a/b:1\": not found"}}}]}`),
			"pod jaeger-0, container jaeger: ImagePullBackOff: image a/b:1: failed to pull and unpack image \"a/b:1\": not found; is it in that registry, and can the nodes reach it?; see kubectl --context lab -n soundcheck describe pod jaeger-0\n", false},
		{"not loaded", aPod(`{"containerStatuses":[{"name":"jaeger","image":"soundcheck.local/soundcheck/jaeger:1","state":{"waiting":{"reason":"ErrImageNeverPull","message":"not present"}}}]}`),
			"pod jaeger-0, container jaeger: ErrImageNeverPull: image soundcheck.local/soundcheck/jaeger:1: not present; does -load load it into every node?; see kubectl --context lab -n soundcheck describe pod jaeger-0\n", false},
		{"crash", aPod(`{"containerStatuses":[{"name":"jaeger","restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}`),
			"pod jaeger-0, container jaeger: CrashLoopBackOff, exit code 137 (OOMKilled: raise its memory limit); see kubectl --context lab -n soundcheck logs jaeger-0 -c jaeger --previous\n", true},
		{"job", job, "Job migrate-2 failed: BackoffLimitExceeded: Job has reached the limit; see kubectl --context lab -n soundcheck logs job/migrate-2\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := stub(t, map[string]string{"pods": `{"items":[]}`})
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			go func() { // the pods are new: those from before the upgrade have time
				for !strings.Contains(string(must(os.ReadFile(filepath.Join(state, "calls")))), "helm upgrade") {
					time.Sleep(10 * time.Millisecond)
				}
				_ = os.WriteFile(filepath.Join(state, "pods.new"), []byte(tt.pods), 0o644)
				_ = os.Rename(filepath.Join(state, "pods.new"), filepath.Join(state, "pods"))
			}()
			_, stderr, code := deploy(ctx, none...)
			if code != 1 || !strings.HasSuffix(stderr, "deploy: "+tt.want) || strings.Contains(stderr, "  the reason\n") != tt.log {
				t.Errorf("after %s: exit code %d, %s\nwant %s", time.Since(begun), code, stderr, tt.want)
			}
			if !strings.Contains(calls(t, state), "\ninterrupted\n") {
				t.Errorf("helm was not interrupted:\n%s", calls(t, state))
			}
		})
	}
}

func must(b []byte, _ error) []byte { return b }

// Other errors of helm name the pods that are not ready, or the fix.
func TestHelmFails(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"timeout", "Error: UPGRADE FAILED: context deadline exceeded",
			"deploy: helm: UPGRADE FAILED: context deadline exceeded\npod jaeger-0: Unschedulable: 0/1 nodes are available; see kubectl --context lab -n soundcheck describe pod jaeger-0\n"},
		{"conflict", `Error: UPGRADE FAILED: conflict occurred while applying object soundcheck/x apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas`,
			"Another program owns these fields: undo its change, or take them over with: go run ./deploy up … -- --force-conflicts\n"},
		{"lines of the API server", "level=WARN msg=\"upgrade failed\"\nError: UPGRADE FAILED: PersistentVolumeClaim \"x\" is invalid: spec: Forbidden: spec is immutable after creation\n  core.PersistentVolumeClaimSpec{\n  \t\"Resources\": {",
			`deploy: helm: UPGRADE FAILED: PersistentVolumeClaim "x" is invalid: spec: Forbidden: spec is immutable after creation core.PersistentVolumeClaimSpec{ "Resources": {` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stub(t, map[string]string{"upgrade.error": tt.text,
				"pods": aPod(`{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes are available"}]}`)})
			if _, stderr, code := deploy(t.Context(), none...); code != 1 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, %s\nwant %s", code, stderr, tt.want)
			}
		})
	}
}

func TestDown(t *testing.T) {
	state := stub(t, nil)
	stdout, stderr, code := deploy(t.Context(), "down")
	want := "uninstalled release soundcheck from namespace soundcheck of context lab\n" +
		"kept: persistentvolumeclaim/data-soundcheck-jaeger-0, secret/soundcheck-postgres\n" +
		"delete that data with go run ./deploy down -volumes -context lab\n"
	if code != 0 || stdout != want {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if strings.Contains(calls(t, state), "persistentvolumeclaim/data") {
		t.Error("data was deleted")
	}
	stdout, _, code = deploy(t.Context(), "down", "-volumes")
	if code != 0 || !strings.HasSuffix(stdout, "\ndeleted persistentvolumeclaim/data-soundcheck-jaeger-0, secret/soundcheck-postgres\n") ||
		!strings.Contains(calls(t, state), "delete -n soundcheck --wait=false persistentvolumeclaim/data-soundcheck-jaeger-0 secret/soundcheck-postgres\n") {
		t.Errorf("exit code %d, %q\n%s", code, stdout, calls(t, state))
	}
}

// Values after -- are those of the checks, too.
func TestHelmFlags(t *testing.T) {
	state := stub(t, map[string]string{"template.error": "Error: stop"})
	_, stderr, _ := deploy(t.Context(), append(none, "-set", "a=1", "--", "--force-conflicts", "--set", "b=2", "--set-string=c=3", "-f", "d.yaml", "-fe.yaml", "--description", "words", "--values=f.yaml")...)
	if !strings.Contains(stderr, "stop") {
		t.Fatal(stderr)
	}
	_, line, _ := strings.Cut(calls(t, state), "helm template ")
	line, _, _ = strings.Cut(line, "\n")
	if want := " --set a=1 --set b=2 --set-string=c=3 -f d.yaml -fe.yaml --values=f.yaml --"; !strings.Contains(line, want) || strings.Contains(line, "words") || strings.Contains(line, "force") {
		t.Errorf("helm template %s, want %s", line, want)
	}
}

// Only a release that does not exist is none: an error of helm is not.
func TestDownWithoutRelease(t *testing.T) {
	for text, want := range map[string]string{
		"Error: uninstall: Release not loaded: soundcheck: release: not found":                           "",
		"Error: failed to delete release: soundcheck: serviceaccounts \"x\" not found":                   "deploy: helm: failed to delete release: soundcheck: serviceaccounts \"x\" not found\n",
		`Error: kubernetes cluster unreachable: exec: "auth-plugin": executable file not found in $PATH`: `deploy: helm: kubernetes cluster unreachable: exec: "auth-plugin": executable file not found in $PATH` + "\n",
	} {
		state := stub(t, map[string]string{"uninstall.error": text})
		stdout, stderr, code := deploy(t.Context(), "down", "-volumes")
		if stderr != want || (code != 0) != (want != "") || strings.HasPrefix(stdout, "no release soundcheck ") != (want == "") {
			t.Errorf("%s: exit code %d, %q, %q, want %q", text, code, stdout, stderr, want)
		}
		if want != "" && strings.Contains(calls(t, state), " delete ") {
			t.Errorf("%s: data was deleted", text)
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                           "deploy: which command?\n",
		"destroy":                    `deploy: unknown command "destroy"` + "\n",
		"up now":                     `deploy: unexpected argument "now"` + "\n",
		"down -- --wait":             `deploy: unexpected argument "--wait"` + "\n",
		"up -images docker":          `deploy: -images "docker" is not registry, local or none` + "\n",
		"up -load x{}":               "deploy: -load needs -images local\n",
		"up -images local -load x":   `deploy: -load "x" has no {}, the path of the archive: for example k3d image import {}` + "\n",
		"up -pull-registry a:1":      "deploy: -pull-registry needs -registry\n",
		"up -tag v1":                 "deploy: -tag needs -images none: built images have a tag of their content\n",
		"up -platform windows/amd64": `deploy: -platform: platform "windows/amd64" is not linux/amd64 or linux/arm64` + "\n",
		"up -timeout 1s":             "deploy: -timeout 1s is out of range: 10s to 1h\n",
		"up -values nowhere.yaml":    "deploy: -values: stat nowhere.yaml: no such file or directory\n",
		"up -- --reuse-values":       "deploy: --reuse-values: the checks and the choice of images cannot see values of the last revision: repeat them with -values FILE or -set NAME=VALUE (helm get values soundcheck shows them)\n",
		"up -- --atomic --reset-then-reuse-values=true": "deploy: --reset-then-reuse-values: the checks ",
		"up -- --namespace x":                           "deploy: --namespace after --: use -namespace NAME before --\n",
		"up -- --set a=-n --namespace=x":                "deploy: --namespace after --: use -namespace NAME before --\n",
		"up -- -n x":                                    "deploy: -n after --: use -namespace NAME before --\n",
		"up -- -nx":                                     "deploy: -n after --: use -namespace NAME before --\n",
		"up -- --kube-context prod":                     "deploy: --kube-context after --: use -context NAME before --\n",
		"up -- --kubeconfig=x":                          "deploy: --kubeconfig after --: set KUBECONFIG=FILE in the environment\n",
		"up -- --kube-token x":                          "deploy: --kube-token after --: set it in the kubeconfig, and use -context NAME before --\n",
		"up -- --timeout 9m":                            "deploy: --timeout after --: use -timeout DURATION before --\n",
		"up -- --wait=false":                            "deploy: --wait after --: leave it out, deploy always waits; -timeout DURATION before -- limits the wait\n",
		"up -- -in x":                                   "deploy: -i after --: leave it out, deploy always sets it\n",
		"up -- --install=false":                         "deploy: --install after --: leave it out, deploy always sets it\n",
		"up -- --create-namespace=0":                    "deploy: --create-namespace after --: leave it out, deploy always sets it\n",
		"up -- --dry-run=server":                        "deploy: --dry-run after --: use helm template, or helm upgrade --dry-run: deploy up installs\n",
		"up -- --set":                                   "deploy: --set after -- needs an argument\n",
		"up -namespace Lab":                             `deploy: -namespace "Lab" is not a name of a namespace: `,
		"status -release -x":                            `deploy: -release "-x" is not a name of a release: `,
		"push -images none -registry :1":                "deploy: -images none has nothing to push: registry or local\n",
	} {
		_, stderr, code := deploy(t.Context(), strings.Fields(args)...)
		if code != 2 || !strings.HasPrefix(stderr, want) {
			t.Errorf("deploy %s: exit code %d, %q, want %q", args, code, stderr, want)
		}
	}
	if stdout, _, code := deploy(t.Context(), "-h"); code != 0 || stdout != usage {
		t.Errorf("-h: exit code %d, %q", code, stdout)
	}
}

// The values of built images name each image that can be built, and of one registry.
func TestImageValues(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{fromRegistry: len(ours), fromHere: len(services), fromNowhere: 0} {
		i := imageFlags{source: source, pull: "k3d-registry:5000"}
		tags := map[string]string{}
		for name := range services {
			tags[name] = "tag-of-" + name
		}
		text, err := json.Marshal(i.values(tags))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(text), `"tag":"tag-of-`); got != want || !strings.Contains(string(text), `"registry":"k3d-registry:5000"`) {
			t.Errorf("%s: %d images have tags, want %d: %s", source, got, want, text)
		}
	}
	for ref, want := range map[string]string{
		"k3d-registry:5000/soundcheck/console:4f": "soundcheck/console 4f",
		"grafana/grafana:12.4.5@sha256:26":        "",
		"k3d-registry:5000/other/console:4f":      "",
		"k3d-registry:5000/soundcheck/console":    "",
	} {
		name, tag, ok := ourImage(ref, "k3d-registry:5000")
		if got := strings.TrimSpace(name + " " + tag); ok != (want != "") || ok && got != want {
			t.Errorf("%s is %q, %t, want %q", ref, got, ok, want)
		}
	}
}

// A cluster that advertises its registry needs no flag: k3d gives two names, MicroK8s one.
func TestLocalRegistry(t *testing.T) {
	for hosting, want := range map[string]string{
		`{"data":{"localRegistryHosting.v1":"host: 127.0.0.1:1\nhostFromContainerRuntime: k3d-r:5000\n"}}`: "k3d-r:5000",
		`{"data":{"localRegistryHosting.v1":"help: x\nhost: \"localhost:1\"\n"}}`:                          "localhost:1",
	} {
		// The template fails after the values were written.
		state := stub(t, map[string]string{"hosting": hosting, "template.error": "Error: stop"})
		_, stderr, _ := deploy(t.Context(), "up", "-images", "none", "-tag", "v9", "-release", "lab")
		if !strings.Contains(stderr, "stop") {
			t.Fatal(stderr)
		}
		_, after, _ := strings.Cut(calls(t, state), "--values ")
		text, err := os.ReadFile(strings.Fields(after)[0])
		if err != nil || !strings.Contains(string(text), `"registry": "`+want+`"`) || !strings.Contains(string(text), `"tag": "v9"`) {
			t.Errorf("%s: %s, %v, want %s", hosting, text, err, want)
		}
	}
}

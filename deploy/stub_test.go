package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/internal/cli"
)

// Stubs print what files of a folder say. They are for failures; deploy/check runs the real
// programs on a real cluster.
const kubectl = `#!/bin/sh
echo "kubectl $*" >>"$STUB/calls"
say() { if [ -e "$STUB/$1.error" ]; then cat "$STUB/$1.error" >&2; exit 1; fi; cat "$STUB/$1"; exit; }
OURS="-l app.kubernetes.io/instance=soundcheck,app.kubernetes.io/part-of=soundcheck"
case "$*" in
"version --client"*) say client ;;
"config get-contexts"*) say contexts ;;
"config current-context") say context ;;
esac
shift 2 # --context lab
case "$*" in
"get "[dps]*"$OURS -o json") ;;
"get pods,"* | "get deployments,"* | "get statefulsets "* | "get services "*) echo "error: of all charts of the release" >&2; exit 1 ;;
esac
case "$*" in
version*) say server ;;
api-resources*) say kinds ;;
"get nodes"*) say nodes ;;
"get configmap local-registry-hosting"*) say hosting ;;
"get namespace"*) say namespace ;;
"create -o json"*) say reviews ;;
"get storageclasses"*) say classes ;;
"get ingressclasses"*) say ingressclasses ;;
"get pods,jobs,"*) say pods ;;
"get deployments,"*) say workloads ;;
"get services "*) say services ;;
"get events"*) say events ;;
"get statefulsets"*) say statefulsets ;;
"get persistentvolumeclaims,secrets"*"$OURS -o json") say ours ;;
"get persistentvolumeclaims -n soundcheck -l app.kubernetes.io/instance=soundcheck,app.kubernetes.io/name in (soundcheck,lab),app.kubernetes.io/component in (jaeger,loki,otel-collector,postgres,prometheus) -o name") say claims ;;
"get persistentvolumeclaims"*) say all ;;
logs*) say logs ;;
esac
`

const helm = `#!/bin/sh
if [ "$1" = upgrade ]; then trap 'echo interrupted >>"$STUB/calls"; exit 1' INT; fi # before the call is logged
echo "helm $*" >>"$STUB/calls"
say() { if [ -e "$STUB/$1.error" ]; then cat "$STUB/$1.error" >&2; exit 1; fi; cat "$STUB/$1"; exit; }
case "$1" in
version) say helm ;;
template) say template ;;
status) say release ;;
get) if [ "$2" = values ]; then say values; fi; say manifest ;;
uninstall) say uninstall ;;
upgrade)
	while [ ! -e "$STUB/upgrade" ] && [ ! -e "$STUB/upgrade.error" ]; do sleep 0.05; done
	say upgrade ;;
esac
`

// works is what the stubs say of a cluster on which everything works.
var works = map[string]string{
	"client":         `{"clientVersion":{"gitVersion":"v1.36.1"}}`,
	"helm":           "v4.3.1",
	"contexts":       "lab\nother\n",
	"context":        "lab\n",
	"server":         `{"serverVersion":{"gitVersion":"v1.35.8+k3s1"}}`,
	"kinds":          "deployments deploy apps/v1 true Deployment\nstatefulsets sts apps/v1 true StatefulSet\ningresses ing networking.k8s.io/v1 true Ingress\n",
	"nodes":          `{"items":[{"status":{"nodeInfo":{"operatingSystem":"linux","architecture":"amd64"}}}]}`,
	"hosting":        `{"data":{}}`,
	"namespace":      `{"status":{"phase":"Active"}}`,
	"reviews":        `{"kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"create","group":"apps","resource":"deployments"}},"status":{"allowed":true}}`,
	"classes":        `{"items":[{"metadata":{"name":"local-path","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}]}`,
	"ingressclasses": `{"items":[{"metadata":{"name":"traefik"}}]}`,
	"pods":           `{"items":[]}`,
	"events":         `{"items":[]}`,
	"statefulsets":   `{"items":[{"spec":{"selector":{"matchLabels":{"app.kubernetes.io/name":"lab"}}}}]}`,
	"ours":           `{"items":[{"kind":"Secret","metadata":{"name":"soundcheck-postgres","labels":{"app.kubernetes.io/name":"lab"}}}]}`,
	"claims":         "persistentvolumeclaim/data-soundcheck-jaeger-0\n",
	"all":            "persistentvolumeclaim/data-soundcheck-jaeger-0\npersistentvolumeclaim/data-of-another-chart-0\nsecret/soundcheck-postgres\n", // of all charts of the release
	"logs":           "line one\nthe reason\n",
	"release.error":  "Error: release: not found",
	"uninstall":      "",
	"template": `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: soundcheck-jaeger}
spec:
  template:
    metadata: {labels: {app.kubernetes.io/component: jaeger}}
    spec: {containers: [{image: "jaegertracing/jaeger:2.13.0"}]}
  volumeClaimTemplates: [{spec: {accessModes: [ReadWriteOnce]}}]
`,
}

// stub puts stubs into PATH. Changes replace or, if empty, remove what they say.
func stub(t *testing.T, changes map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files := map[string]string{"kubectl": kubectl, "helm": helm, "state/calls": ""}
	for name, text := range works {
		files["state/"+name] = text
	}
	for name, text := range changes {
		if strings.Contains(name, "/") {
			files[name] = text
			continue
		}
		files["state/"+name] = text
	}
	for name, text := range files {
		if text == "" && name != "state/calls" && name != "state/uninstall" {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("STUB", filepath.Join(dir, "state"))
	return filepath.Join(dir, "state")
}

// deploy runs the program, with a state folder of the test.
func deploy(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	getenv := func(name string) string {
		if state := os.Getenv("STUB"); name == "SOUNDCHECK_DEPLOY_STATE" && state != "" {
			return state
		}
		return ""
	}
	err := run(ctx, args, getenv, &out, &errs)
	code = cli.Code("deploy", &errs, err) // which writes
	return out.String(), errs.String(), code
}

func calls(t *testing.T, state string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(state, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

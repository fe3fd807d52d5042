package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const traefikValues = "../../gateway/traefik/values.yaml"

// traefik starts Traefik with the options of the values that the guide names, in the namespace of the release, and
// returns its URL. Its Services otlp and otlp-grpc are host names of the routes.
func (r *release) traefik() (base string) {
	r.Helper()
	if out := r.must("kubectl", "get", "crd", "--ignore-not-found", "-o", "name", "gateways.gateway.networking.k8s.io"); out == "" {
		dir := r.must("go", "list", "-f", "{{.Module.Dir}}", "sigs.k8s.io/gateway-api/apis/v1")
		crds := filepath.Join(dir, "config", "crd", "standard")
		r.must("kubectl", "apply", "--server-side", "-f", crds)
		for _, kind := range []string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"} {
			r.must("kubectl", "wait", "--for=condition=Established", "--timeout=1m", "crd/"+kind+".gateway.networking.k8s.io")
		}
		r.Cleanup(func() { output(context.Background(), "kubectl", "delete", "--wait=false", "-f", crds) })
	}
	r.Cleanup(func() {
		output(context.Background(), "kubectl", "delete", "--ignore-not-found", "gatewayclass/ct-traefik", "clusterrole/ct-traefik", "clusterrolebinding/ct-traefik")
	})
	args, env := traefikOptions(r, "lab-soundcheck-otel-collector."+r.namespace)
	manifest := strings.NewReplacer(
		"IMAGE", cmp.Or(os.Getenv("SOUNDCHECK_K8S_TRAEFIK"), "docker.io/library/traefik:v3.6.12"),
		"NAMESPACE", r.namespace, "SERVICETYPE", service, "ARGS", args, "ENV", env).Replace(traefik)
	file := filepath.Join(r.TempDir(), "traefik.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		r.Fatal(err)
	}
	r.kubectl("apply", "-f", file)
	r.kubectl("rollout", "status", "deployment/traefik", "--timeout="+ready)
	if host != "" {
		return "http://" + net.JoinHostPort(host, r.kubectl("get", "service", "traefik", "-o", "jsonpath={.spec.ports[0].nodePort}"))
	}
	return "http://" + r.kubectl("get", "service", "traefik", "-o", "jsonpath={.spec.clusterIP}")
}

// traefikOptions are the arguments that Traefik's chart makes of the values, and the environment, as YAML.
func traefikOptions(r *release, collector string) (args, env string) {
	r.Helper()
	b, err := os.ReadFile(traefikValues)
	if err != nil {
		r.Fatal(err)
	}
	var values struct {
		Providers map[string]map[string]any
		Tracing   map[string]any
		Env       []struct{ Name, Value string }
	}
	text := strings.ReplaceAll(string(b), "soundcheck-otel-collector.soundcheck", collector)
	if text == string(b) {
		r.Fatalf("%s does not name the Collector", traefikValues)
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&values); err != nil {
		r.Fatal(err)
	}
	var list []string
	var add func(path string, value any)
	add = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, value := range v {
				if name == "enabled" {
					add(path, value)
				} else {
					add(path+"."+name, value)
				}
			}
		default:
			list = append(list, fmt.Sprintf("            - --%s=%v\n", path, v))
		}
	}
	for name, provider := range values.Providers {
		add("providers."+name, map[string]any(provider))
	}
	add("tracing", values.Tracing)
	slices.Sort(list)
	for _, e := range values.Env {
		env += fmt.Sprintf("            - {name: %s, value: %q}\n", e.Name, e.Value)
	}
	return strings.TrimSuffix(strings.Join(list, ""), "\n"), strings.TrimSuffix(env, "\n")
}

const traefik = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ct-traefik}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: traefik}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ct-traefik}
rules:
  - {apiGroups: [""], resources: [namespaces, services, secrets, configmaps, nodes, pods], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
  - apiGroups: [gateway.networking.k8s.io]
    resources: [gatewayclasses, gateways, httproutes, grpcroutes, referencegrants, backendtlspolicies]
    verbs: [get, list, watch]
  - apiGroups: [gateway.networking.k8s.io]
    resources: [gatewayclasses/status, gateways/status, httproutes/status, grpcroutes/status, backendtlspolicies/status]
    verbs: [update, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ct-traefik}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ct-traefik}
subjects: [{kind: ServiceAccount, name: traefik, namespace: NAMESPACE}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: traefik}
spec:
  selector: {matchLabels: {app: traefik}}
  template:
    metadata: {labels: {app: traefik}}
    spec:
      serviceAccountName: traefik
      securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: traefik
          image: IMAGE
          args:
            - --entryPoints.web.address=:8000
            - --entryPoints.traefik.address=:8080
            - --ping=true
            - --log.level=INFO
            - --global.checkNewVersion=false
            - --global.sendAnonymousUsage=false
            - --providers.kubernetesGateway.namespaces=NAMESPACE
ARGS
          env:
ENV
          ports: [{name: web, containerPort: 8000}, {name: ping, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ping, port: ping}, periodSeconds: 1}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: traefik}
spec: {type: SERVICETYPE, selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: otlp}
spec: {selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: otlp-grpc}
spec: {selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
`

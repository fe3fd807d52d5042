package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// GatewayCRDs installs the types of the Gateway API. They are too large for client-side apply.
const GatewayCRDs = "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.3/standard-install.yaml"

// Check returns an error for each reason why the rendered release cannot work in this cluster. It
// changes nothing.
func (r *Release) Check(ctx context.Context, rendered *Rendered) error {
	missing, err := r.checkNamespace(ctx)
	if err != nil {
		return err
	}
	err = errors.Join(
		r.checkRelease(ctx),
		r.checkPermissions(ctx, rendered, missing),
		r.checkKinds(rendered),
		r.checkStorage(ctx, rendered),
		r.checkClasses(ctx, rendered),
	)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// checkNamespace reports whether the namespace is missing: helm creates it.
func (r *Release) checkNamespace(ctx context.Context) (missing bool, err error) {
	var ns struct{ Status struct{ Phase string } }
	if err := r.get(ctx, &ns, "namespace", r.Namespace); err != nil {
		// Without permission to read namespaces, the next checks tell.
		return strings.Contains(stderr(err), "NotFound"), ctx.Err()
	}
	if ns.Status.Phase == "Terminating" {
		return false, fmt.Errorf("namespace %s is being deleted: wait until it is (kubectl get namespace %[1]s), or choose another one with -namespace", r.Namespace)
	}
	return false, nil
}

// checkRelease rejects a release that another helm is changing, or was when it was killed.
func (r *Release) checkRelease(ctx context.Context) error {
	out, err := r.helm(ctx, "status", r.Name, "-o", "json")
	if strings.Contains(stderr(err), noRelease) {
		return nil
	}
	if err != nil {
		return err
	}
	var status struct{ Info struct{ Status string } }
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return fmt.Errorf("helm status: %w", err)
	}
	if s := status.Info.Status; strings.HasPrefix(s, "pending-") || s == "uninstalling" {
		return fmt.Errorf("release %s is %s: another helm is changing it, or was killed. Wait for it, or %s", r.Name, s, fixPending(s, r))
	}
	return nil
}

// CheckDatabase rejects values that would take the database from a release, because they do not repeat those of its last
// revision.
func (r *Release) CheckDatabase(ctx context.Context, rendered *Rendered) error {
	if !rendered.inMemory() {
		return nil
	}
	out, err := r.helm(ctx, "get", "values", r.Name, "--all", "-o", "json")
	if strings.Contains(stderr(err), noRelease) {
		return nil
	}
	if err != nil {
		return err
	}
	var old struct{ Database struct{ Kind string } }
	if err := json.Unmarshal([]byte(out), &old); err != nil {
		return fmt.Errorf("helm get values: %w", err)
	}
	if kind := old.Database.Kind; kind != "" && kind != "memory" {
		return fmt.Errorf("release %s has its albums in %s, and these values would change it to memory, without them: repeat the values of the last revision (%s shows them), or add -set database.kind=memory",
			r.Name, kind, r.Helm("get values "+r.Name))
	}
	return nil
}

func fixPending(status string, r *Release) string {
	if status == "pending-upgrade" || status == "pending-rollback" {
		return r.Helm("rollback " + r.Name)
	}
	return "uninstall it (go run ./deploy down; data stays)"
}

// plurals are the names of the kinds that the chart may contain, in permissions.
var plurals = map[string]string{
	"ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "ServiceAccount": "serviceaccounts",
	"PersistentVolumeClaim": "persistentvolumeclaims", "Deployment": "deployments", "StatefulSet": "statefulsets",
	"DaemonSet": "daemonsets", "Job": "jobs", "Role": "roles", "RoleBinding": "rolebindings",
	"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "NetworkPolicy": "networkpolicies",
	"PodDisruptionBudget": "poddisruptionbudgets", "HorizontalPodAutoscaler": "horizontalpodautoscalers",
	"Ingress": "ingresses", "Gateway": "gateways", "HTTPRoute": "httproutes", "GRPCRoute": "grpcroutes",
}

// review is a question to the API server about a permission.
type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Attributes attributes `json:"resourceAttributes"`
	} `json:"spec"`
}

type attributes struct {
	Namespace string `json:"namespace,omitempty"`
	Verb      string `json:"verb"`
	Group     string `json:"group"`
	Resource  string `json:"resource"`
}

func (a attributes) name() string {
	if a.Group == "" {
		return a.Resource
	}
	return a.Resource + "." + a.Group
}

// checkPermissions asks what kubectl auth can-i asks, in one call.
func (r *Release) checkPermissions(ctx context.Context, rendered *Rendered, newNamespace bool) error {
	var questions []attributes
	add := func(verb, group, resource, namespace string) {
		questions = append(questions, attributes{namespace, verb, group, resource})
	}
	if newNamespace {
		add("create", "", "namespaces", "")
	}
	kinds := append(rendered.kinds(), object{APIVersion: "v1", Kind: "Secret"}) // in which helm stores releases
	for _, k := range kinds {
		plural, ok := plurals[k.Kind]
		if !ok {
			continue
		}
		namespace := r.Namespace
		if strings.HasPrefix(k.Kind, "Cluster") {
			namespace = ""
		}
		for _, verb := range []string{"get", "create", "patch", "delete"} {
			add(verb, k.group(), plural, namespace)
		}
	}
	var input strings.Builder
	for _, q := range questions {
		one := review{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}
		one.Spec.Attributes = q
		text, err := json.Marshal(one)
		if err != nil {
			return err
		}
		fmt.Fprintf(&input, "---\n%s\n", text)
	}
	out, err := r.kubectlInput(ctx, input.String(), "create", "-o", "json", "-f", "-")
	if err != nil {
		return ctx.Err() // a cluster that answers no questions: the installation will tell
	}
	denied, err := deniedOf(out)
	if err != nil || len(denied) == 0 {
		return err
	}
	var missing []string
	for _, verb := range []string{"get", "create", "patch", "delete"} {
		if list := denied[verb]; len(list) > 0 {
			missing = append(missing, verb+" "+strings.Join(list, ", "))
		}
	}
	return fmt.Errorf("context %s has no permission in namespace %s to %s: ask an administrator for the ClusterRole admin there, or choose another context with -context",
		r.Context, r.Namespace, strings.Join(missing, "; "))
}

// deniedOf returns the resources that are denied, by verb.
func deniedOf(out string) (map[string][]string, error) {
	type answer struct {
		Items []json.RawMessage
		Spec  struct{ ResourceAttributes attributes }
		// A pointer: an answer without it is none.
		Status *struct{ Allowed bool }
	}
	denied := map[string][]string{}
	note := func(a answer) {
		at := a.Spec.ResourceAttributes
		if a.Status != nil && !a.Status.Allowed && !slices.Contains(denied[at.Verb], at.name()) {
			denied[at.Verb] = append(denied[at.Verb], at.name())
		}
	}
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var a answer
		if err := dec.Decode(&a); errors.Is(err, io.EOF) {
			return denied, nil
		} else if err != nil {
			return nil, fmt.Errorf("kubectl create -f -: %w", err)
		}
		for _, raw := range a.Items {
			var one answer
			if err := json.Unmarshal(raw, &one); err != nil {
				return nil, fmt.Errorf("kubectl create -f -: %w", err)
			}
			note(one)
		}
		note(a)
	}
}

// checkKinds rejects resources of types that the cluster does not have.
func (r *Release) checkKinds(rendered *Rendered) error {
	var problems []error
	for _, k := range rendered.kinds() {
		if r.kinds[k.APIVersion+"/"+k.Kind] {
			continue
		}
		fix := "install its CustomResourceDefinition"
		if k.group() == "gateway.networking.k8s.io" {
			fix = "install the Gateway API (" + GatewayCRDs + "), or set gateway.enabled=false"
		}
		problems = append(problems, fmt.Errorf("the cluster does not have %s of %s: %s", k.Kind, k.APIVersion, fix))
	}
	return errors.Join(problems...)
}

// named is a resource of which the name and annotations count.
type named struct{ Metadata Meta }

// names lists cluster-wide resources; false without permission.
func (r *Release) names(ctx context.Context, resource string) (names []string, all []named, ok bool) {
	var found list[named]
	if err := r.get(ctx, &found, resource); err != nil {
		return nil, nil, false
	}
	for _, n := range found.Items {
		names = append(names, n.Metadata.Name)
	}
	return names, found.Items, true
}

// checkStorage checks the storage class of each volume.
func (r *Release) checkStorage(ctx context.Context, rendered *Rendered) error {
	claims := rendered.claims()
	if len(claims) == 0 {
		return nil
	}
	names, classes, ok := r.names(ctx, "storageclasses")
	if !ok {
		return nil
	}
	hasDefault := slices.ContainsFunc(classes, func(c named) bool {
		return c.Metadata.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
	})
	var unset []string
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		switch class := claims[name]; {
		case class == "":
			unset = append(unset, name)
		case !slices.Contains(names, class):
			problems = append(problems, fmt.Errorf("storageClass %q of %s is not in the cluster: %s", class, name, oneOf(names)))
		}
	}
	if len(unset) > 0 && !hasDefault {
		problems = append(problems, fmt.Errorf("no default storage class for the volumes of %s: set storageClass there (%s), or persistence.enabled=false", strings.Join(unset, ", "), oneOf(names)))
	}
	return errors.Join(problems...)
}

// checkClasses checks that a controller exists for Gateways and Ingresses.
func (r *Release) checkClasses(ctx context.Context, rendered *Rendered) error {
	var problems []error
	for _, o := range rendered.objects {
		resource, value, class := "gatewayclasses", "gateway.className", o.Spec.GatewayClassName
		if o.Kind == "Ingress" {
			resource, value, class = "ingressclasses", "ingress.className", o.Spec.IngressClassName
		}
		if class == "" {
			continue
		}
		if names, _, ok := r.names(ctx, resource); ok && !slices.Contains(names, class) {
			problems = append(problems, fmt.Errorf("%s %q is not in the cluster: install its controller, or set another one (%s)", value, class, oneOf(names)))
		}
	}
	return errors.Join(problems...)
}

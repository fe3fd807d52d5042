package check

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// problems are what a cluster would reject in these objects, or what would fail in it.
// external are Secrets that the user has.
func problems(objects []*object, namespace string, external ...string) (list []string) {
	report := func(o *object, format string, args ...any) {
		list = append(list, fmt.Sprintf("%s (%s): ", o, o.file)+fmt.Sprintf(format, args...))
	}
	seen := map[string]bool{}
	for _, o := range objects {
		if seen[o.String()] {
			report(o, "is there twice")
		}
		seen[o.String()] = true
		names(o, namespace, report)
		sizes(o, report)
		if o.pod != nil {
			containers(o, report)
			volumes(o, report)
		}
		selectors(o, objects, report)
	}
	references(objects, external, report)
	services(objects, report)
	network(objects, namespace, report)
	routes(objects, report)
	slices.Sort(list)
	return list
}

type reporter func(o *object, format string, args ...any)

// names: namespaces, names and labels are valid, and short enough for what Kubernetes derives from them.
func names(o *object, namespace string, report reporter) {
	cluster := strings.HasPrefix(o.kind, "ClusterRole")
	if want := map[bool]string{true: "", false: namespace}[cluster]; o.GetNamespace() != want {
		report(o, "is in namespace %q, want %q", o.GetNamespace(), want)
	}
	limit, invalid := 253, validation.IsDNS1123Subdomain(o.GetName())
	switch o.kind {
	case "Service":
		limit, invalid = 63, validation.IsDNS1035Label(o.GetName())
	case "StatefulSet": // the label controller-revision-hash: the name, a hyphen and a hash of 10 characters
		limit, invalid = 52, validation.IsDNS1123Label(o.GetName())
	case "Job", "Pod", "Deployment":
		limit, invalid = 63, validation.IsDNS1123Label(o.GetName())
	}
	if len(o.GetName()) > limit || len(invalid) > 0 {
		report(o, "the name has %d characters of %d: %v", len(o.GetName()), limit, invalid)
	}
	all := []map[string]string{o.GetLabels()}
	if o.pod != nil {
		all = append(all, o.pod.Labels)
	}
	for _, m := range all {
		for k, v := range m {
			if e := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...); len(e) > 0 {
				report(o, "label %s=%s: %v", k, v, e)
			}
		}
	}
	for k := range o.GetAnnotations() {
		if e := validation.IsQualifiedName(strings.ToLower(k)); len(e) > 0 {
			report(o, "annotation %s: %v", k, e)
		}
	}
}

// sizes: the API server rejects ConfigMaps of more than 1 MiB. Client-side apply keeps a copy in an annotation, of at most 256 KiB.
func sizes(o *object, report reporter) {
	c, ok := o.is.(*corev1.ConfigMap)
	if !ok {
		return
	}
	size := 0
	for k, v := range c.Data {
		size += len(k) + len(v)
		if e := validation.IsConfigMapKey(k); len(e) > 0 {
			report(o, "key %s: %v", k, e)
		}
	}
	limit := 1 << 20
	if strings.Contains(o.GetName(), "-dashboard-") {
		limit = 256 << 10
	}
	if size == 0 || size >= limit {
		report(o, "has %d bytes, want less than %d", size, limit)
	}
}

// containers: names, environment, ports and images.
func containers(o *object, report reporter) {
	name, port, number := map[string]bool{}, map[string]bool{}, map[string]bool{}
	again := func(m map[string]bool, key, what string) {
		if m[key] {
			report(o, "%s %s is there twice", what, key)
		}
		m[key] = true
	}
	for _, c := range o.containers() {
		again(name, c.Name, "container")
		defined := map[string]bool{}
		for _, e := range c.Env {
			again(defined, e.Name, "container "+c.Name+": environment")
			if e.Value != "" && e.ValueFrom != nil {
				report(o, "container %s: environment %s has value and valueFrom", c.Name, e.Name)
			}
			for _, m := range variable.FindAllStringSubmatch(e.Value, -1) {
				if !defined[m[1]] || m[1] == e.Name {
					report(o, "container %s: %s refers to %s, which is not defined before it", c.Name, e.Name, m[1])
				}
			}
		}
		if !slices.IsSortedFunc(c.Env, func(a, b corev1.EnvVar) int { return cmp.Compare(a.Name, b.Name) }) {
			report(o, "container %s: the environment is not sorted", c.Name)
		}
		// Containers of a pod share its network.
		for _, p := range c.Ports {
			again(port, p.Name, "port")
			again(number, fmt.Sprintf("%d/%s", p.ContainerPort, cmp.Or(p.Protocol, corev1.ProtocolTCP)), "port")
			if e := validation.IsValidPortName(p.Name); len(e) > 0 {
				report(o, "port %s: %v", p.Name, e)
			}
		}
		for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			var target *intstr.IntOrString
			switch {
			case p == nil:
			case p.HTTPGet != nil:
				target = &p.HTTPGet.Port
			case p.TCPSocket != nil:
				target = &p.TCPSocket.Port
			}
			if target != nil && !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == target.String() }) {
				report(o, "container %s: a probe has port %s, which the container lacks", c.Name, target)
			}
		}
		image, digest, _ := strings.Cut(c.Image, "@")
		tag := ""
		if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
			tag = image[i+1:]
		}
		if tag == "" && digest == "" || tag == "latest" {
			report(o, "container %s: image %s has no version", c.Name, c.Image)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			report(o, "container %s: want requests of CPU and memory, and a limit of memory", c.Name)
		}
	}
}

var variable = regexp.MustCompile(`\$\((\w+)\)`)

// volumes: each mount has a volume, each volume a mount, and no two have one path.
func volumes(o *object, report reporter) {
	used := map[string]bool{}
	for _, name := range o.claims {
		if _, ok := used[name]; ok {
			report(o, "volume %s is there twice", name)
		}
		used[name] = false
	}
	for _, v := range o.pod.Spec.Volumes {
		if _, ok := used[v.Name]; ok {
			report(o, "volume %s is there twice", v.Name)
		}
		used[v.Name] = false
	}
	for _, c := range o.containers() {
		paths := map[string]bool{}
		for _, m := range c.VolumeMounts {
			if _, ok := used[m.Name]; !ok {
				report(o, "container %s mounts %s, and there is no such volume", c.Name, m.Name)
			}
			used[m.Name] = true
			path := strings.TrimSuffix(m.MountPath, "/")
			if paths[path] {
				report(o, "container %s: mount path %s is there twice", c.Name, path)
			}
			paths[path] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if !used[name] {
			report(o, "no container mounts volume %s", name)
		}
	}
}

// selectors: a workload selects its own pods and no others.
func selectors(o *object, all []*object, report reporter) {
	var s *metav1.LabelSelector
	switch is := o.is.(type) {
	case *appsv1.Deployment:
		s = is.Spec.Selector
	case *appsv1.StatefulSet:
		s = is.Spec.Selector
	case *policyv1.PodDisruptionBudget:
		s = is.Spec.Selector
	default:
		return
	}
	got := selected(labels.SelectorFromSet(s.MatchLabels), all)
	if len(got) != 1 || o.pod != nil && got[0] != o {
		report(o, "selects %v", got)
	}
	if o.pod == nil {
		return
	}
	for _, c := range o.pod.Spec.TopologySpreadConstraints {
		if got := selected(labels.SelectorFromSet(c.LabelSelector.MatchLabels), all); len(got) != 1 || got[0] != o {
			report(o, "spreads %v", got)
		}
	}
	for key := range s.MatchLabels {
		// Selectors cannot be changed: a version in one makes each upgrade fail.
		if strings.Contains(key, "version") || strings.Contains(key, "chart") {
			report(o, "the selector has label %s, which an upgrade changes", key)
		}
	}
}

// selected are the objects with pods that have these labels.
func selected(s labels.Selector, all []*object) (found []*object) {
	if s.Empty() {
		return nil
	}
	for _, o := range all {
		if o.pod != nil && s.Matches(labels.Set(o.pod.Labels)) {
			found = append(found, o)
		}
	}
	return found
}

package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func find(objects []*object, kind, name string) *object {
	i := slices.IndexFunc(objects, func(o *object) bool { return o.kind == kind && o.GetName() == name })
	if i < 0 {
		return nil
	}
	return objects[i]
}

// reference is an object that a pod names, with the key in it, or "".
type reference struct{ kind, name, key string }

// refers are the objects that pods of o name.
func refers(o *object) (list []reference) {
	s := o.pod.Spec
	if s.ServiceAccountName != "" {
		list = append(list, reference{"ServiceAccount", s.ServiceAccountName, ""})
	}
	config := func(name string, items []corev1.KeyToPath) {
		list = append(list, reference{"ConfigMap", name, ""})
		for _, i := range items {
			list = append(list, reference{"ConfigMap", name, i.Key})
		}
	}
	for _, v := range s.Volumes {
		switch {
		case v.ConfigMap != nil:
			config(v.ConfigMap.Name, v.ConfigMap.Items)
		case v.Secret != nil:
			list = append(list, reference{"Secret", v.Secret.SecretName, ""})
			for _, i := range v.Secret.Items {
				list = append(list, reference{"Secret", v.Secret.SecretName, i.Key})
			}
		case v.PersistentVolumeClaim != nil:
			list = append(list, reference{"PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName, ""})
		case v.Projected != nil:
			for _, p := range v.Projected.Sources {
				if p.ConfigMap != nil {
					config(p.ConfigMap.Name, p.ConfigMap.Items)
				}
			}
		}
	}
	for _, c := range o.containers() {
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				list = append(list, reference{"Secret", e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key})
			}
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				list = append(list, reference{"ConfigMap", e.ValueFrom.ConfigMapKeyRef.Name, e.ValueFrom.ConfigMapKeyRef.Key})
			}
		}
	}
	return list
}

// references: what an object names exists, and a pod that runs before the release needs nothing of it.
func references(objects []*object, external []string, report reporter) {
	for _, o := range objects {
		if o.pod != nil {
			for _, r := range refers(o) {
				to := find(objects, r.kind, r.name)
				var has bool
				switch {
				case r.kind == "ConfigMap" && r.name == "kube-root-ca.crt": // every namespace has it
					has = true
				case to == nil:
					has = r.kind == "Secret" && slices.Contains(external, r.name)
				case r.key == "":
					has = true
				case r.kind == "ConfigMap":
					_, has = to.is.(*corev1.ConfigMap).Data[r.key]
				case r.kind == "Secret":
					_, has = to.is.(*corev1.Secret).Data[r.key]
				}
				if !has {
					report(o, "needs %s %s %s, which is not in the release", r.kind, r.name, r.key)
				}
				if to != nil && strings.Contains(o.GetAnnotations()["helm.sh/hook"], "pre-") {
					report(o, "runs before %s exists", to)
				}
			}
		}
		switch is := o.is.(type) {
		case *appsv1.StatefulSet:
			if find(objects, "Service", is.Spec.ServiceName) == nil {
				report(o, "there is no Service %s", is.Spec.ServiceName)
			}
		case *autoscalingv2.HorizontalPodAutoscaler:
			to := find(objects, is.Spec.ScaleTargetRef.Kind, is.Spec.ScaleTargetRef.Name)
			if to == nil {
				report(o, "there is no %s %s", is.Spec.ScaleTargetRef.Kind, is.Spec.ScaleTargetRef.Name)
			} else if d, ok := to.is.(*appsv1.Deployment); ok && d.Spec.Replicas != nil {
				report(o, "%s sets replicas: an upgrade would undo the scaling", to)
			}
		case *rbacv1.RoleBinding:
			if find(objects, is.RoleRef.Kind, is.RoleRef.Name) == nil || find(objects, is.Subjects[0].Kind, is.Subjects[0].Name) == nil {
				report(o, "binds %v and %v", is.RoleRef, is.Subjects)
			}
		case *rbacv1.ClusterRoleBinding:
			if find(objects, is.RoleRef.Kind, is.RoleRef.Name) == nil || find(objects, is.Subjects[0].Kind, is.Subjects[0].Name) == nil {
				report(o, "binds %v and %v", is.RoleRef, is.Subjects)
			}
		}
	}
}

// services: each selects the pods of one workload, which have its ports.
func services(objects []*object, report reporter) {
	nodes := map[int32]bool{}
	for _, o := range objects {
		s, ok := o.is.(*corev1.Service)
		if !ok {
			continue
		}
		pods := selected(labels.SelectorFromSet(s.Spec.Selector), objects)
		if len(pods) != 1 {
			report(o, "selects %v", pods)
			continue
		}
		name, number := map[string]bool{}, map[int32]bool{}
		for _, p := range s.Spec.Ports {
			if name[p.Name] || number[p.Port] || p.NodePort != 0 && nodes[p.NodePort] {
				report(o, "port %s %d is there twice", p.Name, p.Port)
			}
			name[p.Name], number[p.Port], nodes[p.NodePort] = true, true, true
			switch c := containerPort(pods[0], p.TargetPort); {
			case c == 0:
				report(o, "%s has no port %s", pods[0], p.TargetPort.String())
			case s.Spec.ClusterIP == corev1.ClusterIPNone && c != p.Port:
				report(o, "is headless with port %d, but the pods have %d", p.Port, c)
			}
		}
	}
}

// containerPort is the number of a pod's port, by name or number; 0 if no container has it.
func containerPort(o *object, target intstr.IntOrString) int32 {
	for _, c := range o.containers() {
		for _, p := range c.Ports {
			if target.Type == intstr.String && p.Name == target.StrVal || target.Type == intstr.Int && p.ContainerPort == target.IntVal {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// routes: Gateway API and Ingress name Services and ports that exist.
func routes(objects []*object, report reporter) {
	backend := func(o *object, name string, ok func(corev1.ServicePort) bool) {
		s := find(objects, "Service", name)
		if s == nil || !slices.ContainsFunc(s.is.(*corev1.Service).Spec.Ports, ok) {
			report(o, "routes to %s, which is missing or lacks the port", name)
		}
	}
	gatewayBackend := func(o *object, parents []gateway.ParentReference, b gateway.BackendRef) {
		backend(o, string(b.Name), func(p corev1.ServicePort) bool { return b.Port != nil && p.Port == int32(*b.Port) })
		for _, p := range parents {
			if p.Namespace == nil && find(objects, "Gateway", string(p.Name)) == nil {
				report(o, "there is no Gateway %s", p.Name)
			}
		}
		if len(parents) == 0 {
			report(o, "has no parents")
		}
	}
	for _, o := range objects {
		switch is := o.is.(type) {
		case *gateway.HTTPRoute:
			for _, r := range is.Spec.Rules {
				for _, b := range r.BackendRefs {
					gatewayBackend(o, is.Spec.ParentRefs, b.BackendRef)
				}
			}
		case *gateway.GRPCRoute:
			for _, r := range is.Spec.Rules {
				for _, b := range r.BackendRefs {
					gatewayBackend(o, is.Spec.ParentRefs, b.BackendRef)
				}
			}
		case *networkingv1.Ingress:
			for _, r := range is.Spec.Rules {
				for _, p := range r.HTTP.Paths {
					s := p.Backend.Service
					backend(o, s.Name, func(p corev1.ServicePort) bool {
						return p.Name == s.Port.Name || p.Port == s.Port.Number
					})
				}
			}
		}
	}
}

var address = regexp.MustCompile(`([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.[a-z0-9.-]+?:(\d+)`)

// network: each address of a Service in a pod's environment, arguments and configuration exists, and the
// policies of the pods behind it let the caller in.
func network(objects []*object, namespace string, report reporter) {
	for _, o := range objects {
		if o.pod == nil {
			continue
		}
		var text strings.Builder
		for _, c := range o.containers() {
			fmt.Fprintln(&text, c.Args, c.Env)
		}
		for _, r := range refers(o) {
			to := find(objects, r.kind, r.name)
			if to == nil {
				continue
			}
			switch is := to.is.(type) {
			case *corev1.ConfigMap:
				for _, v := range is.Data {
					if strings.Contains(v, ".svc.") { // not the dashboards
						fmt.Fprintln(&text, v)
					}
				}
			case *corev1.Secret:
				for _, v := range is.Data {
					fmt.Fprintln(&text, string(v))
				}
			}
		}
		for _, m := range address.FindAllStringSubmatch(text.String(), -1) {
			port, _ := strconv.Atoi(m[3])
			s := find(objects, "Service", m[1])
			if m[2] != namespace || s == nil {
				report(o, "calls %s, which is not in the release", m[0])
				continue
			}
			spec := s.is.(*corev1.Service).Spec
			i := slices.IndexFunc(spec.Ports, func(p corev1.ServicePort) bool { return p.Port == int32(port) })
			pods := selected(labels.SelectorFromSet(spec.Selector), objects)
			if i < 0 || len(pods) != 1 {
				report(o, "calls %s, a port that %s lacks", m[0], s)
				continue
			}
			if pods[0] != o && !allowed(objects, o, pods[0], containerPort(pods[0], spec.Ports[i].TargetPort)) {
				report(o, "calls %s, which a NetworkPolicy rejects", m[0])
			}
		}
	}
}

// allowed reports whether the NetworkPolicies of a pod let another call its port.
func allowed(objects []*object, from, to *object, port int32) bool {
	restricted := false
	for _, o := range objects {
		p, ok := o.is.(*networkingv1.NetworkPolicy)
		if !ok || !labels.SelectorFromSet(p.Spec.PodSelector.MatchLabels).Matches(labels.Set(to.pod.Labels)) {
			continue
		}
		restricted = true
		for _, rule := range p.Spec.Ingress {
			hasPort := slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntVal == port })
			hasPeer := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(p networkingv1.NetworkPolicyPeer) bool {
				return p.PodSelector != nil && labels.SelectorFromSet(p.PodSelector.MatchLabels).Matches(labels.Set(from.pod.Labels))
			})
			if hasPort && hasPeer {
				return true
			}
		}
	}
	return !restricted
}

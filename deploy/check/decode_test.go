package check

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// object is a decoded object of the chart.
type object struct {
	metav1.Object
	kind string
	is   runtime.Object
	file string
	pod  *corev1.PodTemplateSpec // nil if it has no pods
	// claims are the names of a StatefulSet's volumes.
	claims []string
}

func (o *object) String() string { return o.kind + " " + o.GetName() }

// hook reports whether Helm runs it before or after the others, and does not count it to the release.
func (o *object) hook() bool { return o.GetAnnotations()["helm.sh/hook"] != "" }

func (o *object) containers() []corev1.Container {
	return slices.Concat(o.pod.Spec.InitContainers, o.pod.Spec.Containers)
}

// decoder knows the API types of Kubernetes and of Gateway API. Strict: an unknown or a repeated field is an error.
var decoder = func() *json.Serializer {
	if err := gateway.Install(scheme.Scheme); err != nil {
		panic(err)
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
}()

// decode returns the objects of documents, and what is wrong with each.
func decode(documents []document) (objects []*object, problems []string) {
	for _, d := range documents {
		is, kind, err := decoder.Decode([]byte(d.text), nil, nil)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v in\n%s", d.file, err, d.text[:min(len(d.text), 1500)]))
			continue
		}
		o := &object{Object: is.(metav1.Object), kind: kind.Kind, is: is, file: d.file}
		switch is := is.(type) {
		case *appsv1.Deployment:
			o.pod = &is.Spec.Template
		case *appsv1.StatefulSet:
			o.pod = &is.Spec.Template
			for _, c := range is.Spec.VolumeClaimTemplates {
				o.claims = append(o.claims, c.Name)
			}
		case *batchv1.Job:
			o.pod = &is.Spec.Template
		case *corev1.Pod:
			o.pod = &corev1.PodTemplateSpec{ObjectMeta: is.ObjectMeta, Spec: is.Spec}
		}
		objects = append(objects, o)
	}
	return objects, problems
}

var (
	installing sync.Once
	installed  map[string][]*object
)

// labs are the objects of each configuration as the release lab, by its name. They are decoded once.
func labs(t *testing.T) map[string][]*object {
	t.Helper()
	installing.Do(func() {
		all := map[string][]*object{}
		for name, values := range configurations(t) {
			all[name], _ = decode(must(t, lab, values))
		}
		installed = all
	})
	if installed == nil {
		t.Fatal("a configuration cannot be rendered: see TestRender")
	}
	return installed
}

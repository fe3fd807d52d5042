package cluster

import (
	"slices"
	"testing"
)

// The image of load tests, which no pod has, is in a ConfigMap of the component load.
func TestImages(t *testing.T) {
	t.Parallel()
	rendered, err := parse(`
apiVersion: v1
kind: ConfigMap
metadata: {name: lab-load, labels: {app.kubernetes.io/component: load}}
data: {image: "registry:5000/soundcheck/loadgen:4f", url: "http://lab-proxy-service.demo:9070"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: lab-dashboard, labels: {app.kubernetes.io/component: grafana}}
data: {image: "none"}
---
apiVersion: apps/v1
kind: Deployment
spec: {template: {spec: {containers: [{image: "a:1"}, {image: "b:1"}], initContainers: [{image: "a:1"}]}}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rendered.Images(), []string{"a:1", "b:1", "registry:5000/soundcheck/loadgen:4f"}; !slices.Equal(got, want) {
		t.Errorf("Images() = %q, want %q", got, want)
	}
}

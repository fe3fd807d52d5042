// Package check tests the Helm chart without a cluster: it renders the chart as Helm 4 and Helm 3 do,
// decodes each object strictly into its API type, and checks what a cluster would reject or what would
// fail there later, such as a Service without pods.
//
// It is a separate module, so that the lab does not depend on Helm and Kubernetes.
package check

//go:generate go run ./readme

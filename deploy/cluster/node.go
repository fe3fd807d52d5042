package cluster

import (
	"context"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// node is a node as kubectl get nodes -o json shows it.
type node struct {
	Status struct {
		NodeInfo struct{ OperatingSystem, Architecture string }
		Images   []struct{ Names []string }
	}
}

// Platforms returns the platforms of the nodes, such as linux/amd64; none without permission.
func (r *Release) Platforms(ctx context.Context) []string {
	var nodes list[node]
	if err := r.get(ctx, &nodes, "nodes"); err != nil {
		return nil
	}
	var platforms []string
	for _, n := range nodes.Items {
		p := n.Status.NodeInfo.OperatingSystem + "/" + n.Status.NodeInfo.Architecture
		if p != "windows/amd64" && !slices.Contains(platforms, p) {
			platforms = append(platforms, p)
		}
	}
	slices.Sort(platforms)
	return platforms
}

// OnNodes reports whether all nodes list an image. A node lists its 50 largest images only, so
// that false may be wrong.
func (r *Release) OnNodes(ctx context.Context, ref string) bool {
	var nodes list[node]
	if err := r.get(ctx, &nodes, "nodes"); err != nil || len(nodes.Items) == 0 {
		return false
	}
	for _, n := range nodes.Items {
		if !slices.ContainsFunc(n.Status.Images, func(i struct{ Names []string }) bool { return slices.Contains(i.Names, ref) }) {
			return false
		}
	}
	return true
}

// LocalRegistry returns the registry that the cluster advertises, as k3d and MicroK8s do: its name
// from here, and its name for the nodes. See
// https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry
func (r *Release) LocalRegistry(ctx context.Context) (push, pull string) {
	var found struct{ Data map[string]string }
	if err := r.get(ctx, &found, "configmap", "local-registry-hosting", "-n", "kube-public"); err != nil {
		return "", ""
	}
	var hosting struct {
		Host                     string `yaml:"host"`
		HostFromContainerRuntime string `yaml:"hostFromContainerRuntime"`
	}
	if err := yaml.Unmarshal([]byte(found.Data["localRegistryHosting.v1"]), &hosting); err != nil {
		return "", ""
	}
	if pull = hosting.HostFromContainerRuntime; pull == "" {
		pull = hosting.Host
	}
	return strings.TrimSuffix(hosting.Host, "/"), strings.TrimSuffix(pull, "/")
}

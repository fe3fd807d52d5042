package cluster

import (
	"context"
	"slices"
	"strings"
)

const nameLabel = "app.kubernetes.io/name"

// stateful are the components whose StatefulSets claim volumes.
var stateful = []string{"jaeger", "loki", "otel-collector", "postgres", "prometheus"}

// DeleteLeftOvers deletes what helm uninstall does not know: resources of failed upgrades, and those
// of hooks and tests. It has no data.
func (r *Release) DeleteLeftOvers(ctx context.Context) error {
	_, err := r.kubectl(ctx, "delete", "deployments,statefulsets,jobs,pods,services,configmaps", "-n", r.Namespace,
		"-l", r.selector(), "--ignore-not-found", "--wait=false")
	if strings.Contains(stderr(err), "NotFound") {
		return nil
	}
	return err
}

// FindNames reads the values of app.kubernetes.io/name that our StatefulSets select: the chart's name,
// or nameOverride. Uninstall deletes them, so that FindNames must run before it.
func (r *Release) FindNames(ctx context.Context) error {
	r.chartNames = []string{"soundcheck"}
	var found list[struct {
		Spec struct {
			Selector struct{ MatchLabels map[string]string }
		}
	}]
	if err := r.get(ctx, &found, "statefulsets", "-n", r.Namespace, "-l", r.selector()); err != nil {
		return err
	}
	for _, s := range found.Items {
		r.addName(s.Spec.Selector.MatchLabels)
	}
	return nil
}

func (r *Release) addName(labels map[string]string) {
	if name := labels[nameLabel]; name != "" && !slices.Contains(r.chartNames, name) {
		r.chartNames = append(r.chartNames, name)
	}
}

// Kept returns what helm uninstall leaves, as TYPE/NAME: claims of volumes, and the Secret of the
// database. It needs FindNames.
func (r *Release) Kept(ctx context.Context) ([]string, error) {
	var ours list[struct {
		Kind     string
		Metadata Meta
	}]
	if err := r.get(ctx, &ours, "persistentvolumeclaims,secrets", "-n", r.Namespace, "-l", r.selector()); err != nil {
		if strings.Contains(stderr(err), "NotFound") {
			return nil, nil
		}
		return nil, err
	}
	var kept []string
	for _, o := range ours.Items {
		kept = append(kept, strings.ToLower(o.Kind)+"/"+o.Metadata.Name)
		r.addName(o.Metadata.Labels)
	}
	// Claims of a StatefulSet have the labels of its selector only.
	out, err := r.kubectl(ctx, "get", "persistentvolumeclaims", "-n", r.Namespace, "-l", r.instance()+
		","+nameLabel+" in ("+strings.Join(r.chartNames, ",")+"),"+componentLabel+" in ("+strings.Join(stateful, ",")+")", "-o", "name")
	for _, name := range strings.Fields(out) {
		if !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	slices.Sort(kept)
	return kept, err
}

// Delete deletes resources that Kept has returned.
func (r *Release) Delete(ctx context.Context, names []string) error {
	_, err := r.kubectl(ctx, append([]string{"delete", "-n", r.Namespace, "--wait=false"}, names...)...)
	return err
}

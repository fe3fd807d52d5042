package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is what is in the cluster of a release.
type Status struct {
	Revision  int    // 0: no release
	State     string // of helm, such as deployed
	Workloads []Workload
	Services  []Service
}

// Workload is a Deployment or StatefulSet.
type Workload struct {
	Name, Component       string
	Want, Ready, Restarts int
	State                 string // ready, or why not
	LeftOver              bool   // of a failed upgrade: no longer in the release
}

// Service is how a component is called.
type Service struct {
	Name, Component string
	Host            string // inside the cluster
	Ports           []int
}

// Address is the first address in the cluster.
func (s Service) Address() string {
	var list []string
	for _, p := range s.Ports {
		list = append(list, fmt.Sprint(p))
	}
	return s.Host + ":" + strings.Join(list, ",")
}

// Well reports whether all workloads are ready.
func (s *Status) Well() bool {
	return s.State == "deployed" && !slices.ContainsFunc(s.Workloads, func(w Workload) bool { return w.Ready < w.Want && !w.LeftOver })
}

// Service returns the Service of a component that has ports for clients.
func (s *Status) Service(component string) (Service, bool) {
	i := slices.IndexFunc(s.Services, func(v Service) bool { return v.Component == component })
	if i < 0 {
		return Service{}, false
	}
	return s.Services[i], true
}

// Prefix returns the name of a component's resources.
func (s *Status) Prefix(component string) string {
	for _, w := range s.Workloads {
		if w.Component == component {
			return w.Name
		}
	}
	return component
}

type workload struct {
	Metadata Meta
	Spec     struct{ Replicas *int }
	Status   struct{ ReadyReplicas int }
}

// noRelease is helm's error for a release that does not exist. Other errors say "not found", too, such
// as one about a program for logging in.
const noRelease = "release: not found"

// Status reads the release and its resources.
func (r *Release) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	out, err := r.helm(ctx, "status", r.Name, "-o", "json")
	if err != nil {
		if strings.Contains(stderr(err), noRelease) {
			return s, nil
		}
		return nil, err
	}
	var release struct {
		Version int
		Info    struct{ Status string }
	}
	if err := json.Unmarshal([]byte(out), &release); err != nil {
		return nil, fmt.Errorf("helm status: %w", err)
	}
	s.Revision, s.State = release.Version, release.Info.Status
	manifest, err := r.helm(ctx, "get", "manifest", r.Name)
	if err != nil {
		return nil, err
	}
	rendered, err := parse(manifest)
	if err != nil {
		return nil, err
	}
	components := rendered.components()
	r.components = nil
	pods, _, err := r.workloads(ctx)
	if err != nil {
		return nil, err
	}
	var found list[workload]
	if err := r.get(ctx, &found, "deployments,statefulsets", "-n", r.Namespace, "-l", r.selector()); err != nil {
		return nil, err
	}
	for _, w := range found.Items {
		one := r.state(w, pods)
		if one.LeftOver = !components[one.Component]; one.LeftOver {
			one.State = "left over from a failed upgrade"
		}
		s.Workloads = append(s.Workloads, one)
	}
	slices.SortFunc(s.Workloads, func(a, b Workload) int { return cmp.Compare(a.Component, b.Component) })
	var services list[struct {
		Metadata Meta
		Spec     struct {
			ClusterIP string
			Ports     []struct{ Port int }
		}
	}]
	if err := r.get(ctx, &services, "services", "-n", r.Namespace, "-l", r.selector()); err != nil {
		return nil, err
	}
	for _, v := range services.Items {
		if v.Spec.ClusterIP == "None" { // for peers
			continue
		}
		if !components[component(v.Metadata)] && component(v.Metadata) != "console" { // the console is in the Collector's pod
			continue
		}
		one := Service{Name: v.Metadata.Name, Component: component(v.Metadata), Host: v.Metadata.Name + "." + r.Namespace}
		for _, p := range v.Spec.Ports {
			one.Ports = append(one.Ports, p.Port)
		}
		s.Services = append(s.Services, one)
	}
	return s, nil
}

// component is the component of the chart that a resource is of.
func component(m Meta) string { return cmp.Or(m.Labels[componentLabel], m.Name) }

// state describes a workload with its pods.
func (r *Release) state(w workload, pods []pod) Workload {
	one := Workload{Name: w.Metadata.Name, Component: component(w.Metadata), Want: 1, Ready: w.Status.ReadyReplicas, State: "ready"}
	if w.Spec.Replicas != nil {
		one.Want = *w.Spec.Replicas
	}
	if one.Ready < one.Want {
		one.State = "not ready"
	}
	for _, p := range pods {
		if !p.counts() || p.component() != one.Component {
			continue
		}
		for _, c := range p.Status.ContainerStatuses {
			one.Restarts += c.RestartCount
		}
		if !p.ready() {
			one.State = p.problem(r).short()
		}
	}
	return one
}

// Uninstall uninstalls the release, and reports whether there was one.
func (r *Release) Uninstall(ctx context.Context) (was bool, err error) {
	defer r.Progress.Clear()
	r.Progress.Show("uninstalling " + r.Name)
	helm, err := startHelm(append([]string{"uninstall", r.Name, "--wait", "--timeout", "3m"}, r.helmFlags()...))
	if err != nil {
		return false, err
	}
	select {
	case err = <-helm.ended:
	case <-ctx.Done():
		helm.stop()
		return false, ctx.Err()
	}
	text := helm.errs.String()
	switch {
	case err == nil:
		return true, nil
	case strings.Contains(text, noRelease):
		return false, nil
	}
	return false, fmt.Errorf("helm: %s", lastLine(text))
}

// AwaitEnd waits until the chart's pods have ended: helm does not, and volumes cannot be deleted before.
func (r *Release) AwaitEnd(ctx context.Context) error {
	defer r.Progress.Clear()
	r.components = nil
	for begun := time.Now(); time.Since(begun) < endTimeout; {
		pods, _, err := r.workloads(ctx)
		if err != nil || len(pods) == 0 {
			return err
		}
		r.Progress.Show(fmt.Sprintf("waiting until %d pods have ended, %.0f s", len(pods), time.Since(begun).Seconds()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
	return fmt.Errorf("some pods have not ended within %s: see %s", endTimeout, r.Kubectl("get pods -l "+r.selector()))
}

// endTimeout is longer than any pod's terminationGracePeriodSeconds.
const endTimeout = 90 * time.Second

package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Options select a release. Each may be empty.
type Options struct {
	Context   string // of kubectl's configuration
	Namespace string
	Release   string
	PartOf    string // label of everything of the chart; "": that of the lab
}

// Labels of everything that the chart creates. app.kubernetes.io/name is not one of them: nameOverride and the alias
// of a subchart change it.
const (
	partLabel      = "app.kubernetes.io/part-of"
	lab            = "soundcheck" // value of partLabel
	instanceLabel  = "app.kubernetes.io/instance"
	componentLabel = "app.kubernetes.io/component"
)

// Release is an installed release of the chart. Close ends what it has started.
type Release struct {
	kubectl
	Namespace, Name string
	partOf          string
	Log             func(string) // of what a user should know, such as a forward that ended; nil: none; called by any goroutine

	services map[string][]object // by component

	mu        sync.Mutex
	followers map[string]*follower // by component
	stop      []context.CancelFunc
	running   sync.WaitGroup // goroutines
}

// Find finds the release: in the namespace if one is named, else in that of kubectl's context, else in
// any.
func Find(ctx context.Context, o Options) (*Release, error) {
	k, err := newKubectl(o.Context)
	if err != nil {
		return nil, err
	}
	return k.find(ctx, o)
}

func (k kubectl) find(ctx context.Context, o Options) (*Release, error) {
	where := " in namespace " + o.Namespace
	var flags []string
	if o.Namespace != "" {
		flags = []string{"--namespace", o.Namespace}
	}
	o.PartOf = cmp.Or(o.PartOf, lab)
	found, err := k.releases(ctx, o, flags...)
	denied := errors.As(err, new(Forbidden))
	if o.Namespace == "" && (err == nil || denied) && len(found) == 0 {
		where = " in any namespace"
		found, err = k.releases(ctx, o, "--all-namespaces")
		if !denied && errors.As(err, new(Forbidden)) {
			where, err = " in the current namespace, and others cannot be listed", nil
		}
	}
	if errors.As(err, new(Forbidden)) {
		err = fmt.Errorf("%w: set -namespace to that of the release, or -context to a user who may", err)
	}
	switch {
	case err != nil:
		return nil, err
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, ambiguous(found)
	}
	what := "release"
	if o.Release != "" {
		what += " " + o.Release
	}
	if o.Context != "" {
		where += " of context " + o.Context
	}
	return nil, None{fmt.Errorf("no %s of the chart %s%s: install it (make k8s-up), or select one with -namespace, -release, -context", what, o.PartOf, where)}
}

// A None error means that there is no release.
type None struct{ error }

// ambiguous lists releases, with the flag that distinguishes them.
func ambiguous(found []*Release) error {
	var names []string
	flag := "-release"
	for _, r := range found {
		names = append(names, r.Name+" in namespace "+r.Namespace)
		if r.Namespace != found[0].Namespace {
			flag = "-namespace"
		}
	}
	for i, r := range found {
		if flag == "-namespace" && slices.ContainsFunc(found[:i], func(o *Release) bool { return o.Namespace == r.Namespace }) {
			flag = "-namespace and -release"
		}
	}
	return fmt.Errorf("%d releases of the chart soundcheck (%s): select one with %s", len(found), strings.Join(names, ", "), flag)
}

// releases lists the releases by their services.
func (k kubectl) releases(ctx context.Context, o Options, flags ...string) ([]*Release, error) {
	selector := partLabel + "=" + o.PartOf
	if o.Release != "" {
		selector += "," + instanceLabel + "=" + o.Release
	}
	services, err := k.get(ctx, "services", selector, flags...)
	if err != nil {
		return nil, err
	}
	var list []*Release
	for _, s := range services {
		m := s.Metadata
		instance, component := m.Labels[instanceLabel], m.Labels[componentLabel]
		if instance == "" || component == "" {
			continue
		}
		i := slices.IndexFunc(list, func(r *Release) bool { return r.Namespace == m.Namespace && r.Name == instance })
		if i < 0 {
			i = len(list)
			list = append(list, &Release{kubectl: k, Namespace: m.Namespace, Name: instance, partOf: o.PartOf, services: map[string][]object{}, followers: map[string]*follower{}})
		}
		list[i].services[component] = append(list[i].services[component], s)
	}
	slices.SortFunc(list, func(a, b *Release) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Has reports whether the release has a component.
func (r *Release) Has(component string) bool { return len(r.services[component]) > 0 }

// selector selects the pods of a component.
func (r *Release) selector(component string) string {
	return partLabel + "=" + r.partOf + "," + instanceLabel + "=" + r.Name + "," + componentLabel + "=" + component
}

// service returns the name of a component's service with a port. Of several, a headless one is the last
// choice: it need not be ready.
func (r *Release) service(component string, port int) (string, error) {
	name := ""
	for _, s := range r.services[component] {
		for _, p := range s.Spec.Ports {
			if p.Port == port && (name == "" || s.Spec.ClusterIP != "None") {
				name = s.Metadata.Name
			}
		}
	}
	if name == "" {
		return "", fmt.Errorf("release %s in namespace %s has no service of %s with port %d", r.Name, r.Namespace, component, port)
	}
	return name, nil
}

// log reports what a user should know.
func (r *Release) log(format string, args ...any) {
	if r.Log != nil {
		r.Log(fmt.Sprintf(format, args...))
	}
}

// background runs a function until Close, the end of ctx or a call of stop.
func (r *Release) background(ctx context.Context, run func(context.Context)) (stop context.CancelFunc) {
	ctx, stop = context.WithCancel(ctx)
	r.mu.Lock()
	r.stop = append(r.stop, stop)
	r.mu.Unlock()
	r.running.Go(func() { run(ctx) })
	return stop
}

// Close ends all forwards and logs, with their processes.
func (r *Release) Close() {
	r.mu.Lock()
	for _, stop := range r.stop {
		stop()
	}
	r.mu.Unlock()
	r.running.Wait()
}

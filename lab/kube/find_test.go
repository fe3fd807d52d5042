package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// services is the output of kubectl get services, for services named NAMESPACE/RELEASE/COMPONENT:PORT
// of a chart with a nameOverride.
func services(names ...string) string {
	var items []string
	for _, n := range names {
		var port int
		n, number, _ := strings.Cut(n, ":")
		fmt.Sscan(number, &port)
		p := strings.Split(n, "/")
		ip := "10.0.0.1"
		suffix := ""
		if strings.HasSuffix(p[2], "-headless") {
			p[2], ip, suffix = strings.TrimSuffix(p[2], "-headless"), "None", "-headless"
		}
		items = append(items, fmt.Sprintf(`{"metadata":{"name":"%[2]s-%[3]s%[6]s","namespace":"%[1]s","labels":{"app.kubernetes.io/name":"renamed","app.kubernetes.io/part-of":"soundcheck","app.kubernetes.io/instance":"%[2]s","app.kubernetes.io/component":"%[3]s"}},`+
			`"spec":{"clusterIP":"%[5]s","ports":[{"port":%[4]d}]}}`, p[0], p[1], p[2], port, ip, suffix))
	}
	return `{"items":[` + strings.Join(items, ",") + `]}`
}

const forbidden = `Error from server (Forbidden): services is forbidden: User "me" cannot list resource "services" in API group "" in the namespace "a"`

func TestFind(t *testing.T) {
	t.Parallel()
	one := services("a/x/proxy-service:9070", "a/x/jaeger:16696")
	for name, tt := range map[string]struct {
		options Options
		files   map[string]string
		want    string // namespace/release, or the error
	}{
		"in the current namespace": {Options{}, map[string]string{"get services": one, "get services all": services("b/y/jaeger:1")}, "a/x"},
		"in another":               {Options{}, map[string]string{"get services all": one}, "a/x"},
		"in the named namespace":   {Options{Namespace: "a"}, map[string]string{"get services a": one}, "a/x"},
		"nowhere":                  {Options{}, nil, "no release of the chart soundcheck in any namespace: install it (make k8s-up), or select one with -namespace, -release, -context"},
		"of a given name":          {Options{Namespace: "a", Release: "y"}, map[string]string{"get services a": services("a/x/jaeger:1", "a/y/jaeger:1")}, "a/y"},
		"not there":                {Options{Namespace: "b", Release: "y", Context: "c"}, map[string]string{"get services a": one}, "no release y of the chart soundcheck in namespace b of context c: install it (make k8s-up), or select"},
		"two in a namespace":       {Options{}, map[string]string{"get services": services("a/x/jaeger:1", "a/y/jaeger:1")}, "2 releases of the chart soundcheck (x in namespace a, y in namespace a): select one with -release"},
		"two in namespaces":        {Options{}, map[string]string{"get services all": services("b/x/jaeger:1", "a/x/jaeger:1")}, "2 releases of the chart soundcheck (x in namespace a, x in namespace b): select one with -namespace"},
		"three":                    {Options{}, map[string]string{"get services all": services("b/x/jaeger:1", "a/x/jaeger:1", "b/y/jaeger:1")}, "3 releases of the chart soundcheck (x in namespace a, x in namespace b, y in namespace b): select one with -namespace and -release"},
		"only in its own":          {Options{}, map[string]string{"get services": one, "get services all": forbidden}, "a/x"},
		"others forbidden":         {Options{}, map[string]string{"get services all": forbidden}, "no release of the chart soundcheck in the current namespace, and others cannot be listed: install it (make k8s-up), or select one with -namespace"},
		"its own forbidden":        {Options{}, map[string]string{"get services": forbidden, "get services all": one}, "a/x"},
		"all forbidden":            {Options{}, map[string]string{"get services": forbidden, "get services all": forbidden}, `no permission (kubectl get services): Error from server (Forbidden): services is forbidden: User "me" cannot list resource "services" in API group "" in the namespace "a": set -namespace to that of the release`},
		"named forbidden":          {Options{Namespace: "a"}, map[string]string{"get services a": forbidden}, "no permission (kubectl get services): "},
		"no JSON":                  {Options{}, map[string]string{"get services": "<html>"}, `kubectl get services printed "<html>", which is not the expected JSON: `},
		"no cluster":               {Options{}, map[string]string{"get services": "error: current-context is not set"}, "kubectl has no cluster: start one (make k3d-up), or select one with -context (kubectl config get-contexts): current-context is not set"},
		"no context":               {Options{Context: "c"}, map[string]string{"get services": "error: Error in configuration: context was not found for specified context: c"}, "-context: Error in configuration: context was not found for specified context: c: list them with kubectl config get-contexts"},
		"down":                     {Options{}, map[string]string{"get services": "E1129 memcache.go:265] couldn't get\nThe connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?"}, "the cluster does not respond: start it, or select another with -context"},
		"logged out":               {Options{}, map[string]string{"get services": "error: You must be logged in to the server (Unauthorized)"}, "kubectl is not logged in to the cluster: log in, and try kubectl get pods: You must"},
		"other":                    {Options{}, map[string]string{"get services": "error: disk full"}, "kubectl get services: exit status 1: disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			for name, text := range tt.files {
				if strings.HasPrefix(text, "The conn") || strings.HasPrefix(text, "E1129") {
					text = "Error\n" + text
				}
				f.write(name, text)
			}
			k := f.kubectl
			k.context = tt.options.Context
			r, err := k.find(t.Context(), tt.options)
			got := fmt.Sprint(err)
			if err == nil {
				got = r.Namespace + "/" + r.Name
			}
			if got != tt.want && !(err != nil && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got  %s\nwant %s\ncalls:\n%s", got, tt.want, f.read("calls"))
			}
			if calls := f.read("calls"); tt.options.Context != "" && !strings.Contains(calls, "--context c get services --selector app.kubernetes.io/part-of=soundcheck") {
				t.Errorf("calls without the context:\n%s", calls)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newFake(t).find(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// Without kubectl the error says how to go on.
func TestNoKubectl(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Find(t.Context(), Options{}); err == nil || !strings.HasPrefix(err.Error(), "kubectl command not found: install it (https://") {
		t.Error(err)
	}
}

// A port is that of the component's service, rather not of its headless one.
func TestService(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.write("get services", services("a/x/otel-collector-headless:4318", "a/x/otel-collector:4318", "a/x/otel-collector-headless:4317", "a/x/jaeger:16696"))
	r, err := f.find(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Has("jaeger") || r.Has("album-store") {
		t.Error("it has a store, or no Jaeger")
	}
	for _, tt := range []struct {
		component string
		port      int
		want      string
	}{
		{"otel-collector", 4318, "x-otel-collector"},
		{"otel-collector", 4317, "x-otel-collector-headless"},
		{"jaeger", 16686, "release x in namespace a has no service of jaeger with port 16686"},
	} {
		name, err := r.service(tt.component, tt.port)
		if err != nil {
			name = err.Error()
		}
		if name != tt.want {
			t.Errorf("%s:%d is %s, want %s", tt.component, tt.port, name, tt.want)
		}
	}
}

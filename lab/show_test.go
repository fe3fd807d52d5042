package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// What lab up ends with leads to this lab, not to another one.
func TestShow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lab  plan.Lab
		want []string
		not  string
	}{
		{plan.Lab{Root: "/r", State: "/r/.lab", Offset: 100, Stores: []string{"http://127.0.0.1:9180", "http://10.0.0.7:9080", "https://localhost:9080", "http://[::1]:9181"}}, []string{
			"the album store is external: the proxy calls http://127.0.0.1:9180, http://10.0.0.7:9080, https://localhost:9080, http://[::1]:9181\n",
			"try next:\n  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4418 OTEL_METRIC_EXPORT_INTERVAL=5000 OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=native go run ./store -addr 127.0.0.1:9180\n",
			" go run ./store -addr [::1]:9181\n  curl http://127.0.0.1:9170/albums/1\n"}, "-addr 10.0.0.7"},
		{plan.Lab{Root: "/r", State: "/r/.lab"}, []string{"open http://127.0.0.1:3300 in a browser\n", "'http://127.0.0.1:16696/api/traces?", "go run ./loadgen -rate 100\n", "go run ./lab status   ("}, "-state"},
		{plan.Lab{Root: "/r", State: "/s", Offset: 100}, []string{"open http://127.0.0.1:3400 in a browser\n", "'http://127.0.0.1:16796/api/traces?",
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4418 go run ./loadgen -rate 100 -url http://127.0.0.1:9170 -jaeger http://127.0.0.1:16796 -keep /s/runs\n", "go run ./lab status -state /s   ("}, ":3300"},
	} {
		var out bytes.Buffer
		if err := show(tt.lab, supervisor.Status{Phase: supervisor.Up, Stores: tt.lab.Stores, Components: []supervisor.ComponentStatus{{Name: "console", State: supervisor.Ready, Address: tt.lab.Console()}}}, &out); err != nil {
			t.Fatal(err)
		}
		if tt.lab.Stores == nil && strings.Contains(out.String(), "none of them") {
			t.Errorf("offset %d: its album store is said to run elsewhere:\n%s", tt.lab.Offset, out.String())
		}
		for _, want := range append(tt.want, tt.lab.Console()) {
			if !strings.Contains(out.String(), want) {
				t.Errorf("offset %d: no %q in\n%s", tt.lab.Offset, want, out.String())
			}
		}
		if strings.Contains(out.String(), tt.not) {
			t.Errorf("offset %d: %q in\n%s", tt.lab.Offset, tt.not, out.String())
		}
	}
}

// lab up -wait services returns when albums can be stored, and not before.
func TestReadiness(t *testing.T) {
	t.Parallel()
	starting := func(states ...supervisor.State) supervisor.Status {
		st := supervisor.Status{Phase: supervisor.Starting}
		for i, state := range states {
			st.Components = append(st.Components, supervisor.ComponentStatus{
				Name: []string{plan.ProxyName, "jaeger", plan.StoreName}[i], State: state})
		}
		return st
	}
	for name, tt := range map[string]struct {
		st            supervisor.Status
		services, all bool
	}{
		"all are built":         {starting(supervisor.Building, supervisor.Building, supervisor.Building), false, false},
		"the proxy waits":       {starting(supervisor.Waiting, supervisor.Waiting, supervisor.Ready), false, false},
		"Jaeger is built":       {starting(supervisor.Ready, supervisor.Building, supervisor.Ready), true, false},
		"the store is external": {starting(supervisor.Ready, supervisor.Building), true, false},
		"all are ready":         {supervisor.Status{Phase: supervisor.Up}, true, true},
	} {
		if got := waitServices.reached(tt.st); got != tt.services {
			t.Errorf("%s: -wait services: %t, want %t", name, got, tt.services)
		}
		if got := waitAll.reached(tt.st); got != tt.all {
			t.Errorf("%s: -wait all: %t, want %t", name, got, tt.all)
		}
	}
}

// Before all are ready, only what is ready is named, and how to wait for the rest.
func TestShowStarting(t *testing.T) {
	t.Parallel()
	const console, proxy, jaeger, prometheus = ":3300 in a browser", "curl http://127.0.0.1:9070/albums/1", ":16696/api/traces", ":9090/api/v1/query"
	for _, tt := range []struct {
		phase     supervisor.Phase
		unready   []string
		want, not []string
	}{
		{supervisor.Starting, []string{"console", "jaeger", "prometheus"}, []string{proxy, "go run ./loadgen", "go run ./lab status"}, []string{console, jaeger, prometheus}},
		{supervisor.Starting, []string{"jaeger", "prometheus"}, []string{proxy, console}, []string{jaeger, prometheus}},
		{supervisor.Starting, []string{"console", "jaeger"}, []string{proxy, prometheus}, []string{console, jaeger}},
		{supervisor.Starting, []string{"console"}, []string{proxy, prometheus}, []string{console, jaeger}},
		{supervisor.Starting, []string{"jaeger"}, []string{proxy, console, prometheus}, []string{jaeger}},
		{supervisor.Up, []string{"jaeger"}, []string{proxy, console, jaeger, prometheus}, nil}, // it is being restarted
	} {
		st := supervisor.Status{Phase: tt.phase}
		for _, c := range (plan.Lab{}).Components() {
			p := supervisor.ComponentStatus{Name: c.Name, State: supervisor.Ready}
			if slices.Contains(tt.unready, c.Name) {
				p.State = supervisor.Building
			}
			st.Components = append(st.Components, p)
		}
		var out bytes.Buffer
		if err := show(plan.Lab{}, st, &out); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s, without %v: no %q in\n%s", tt.phase, tt.unready, want, &out)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(out.String(), not) {
				t.Errorf("%s, without %v: %q in\n%s", tt.phase, tt.unready, not, &out)
			}
		}
		if waits := strings.Contains(out.String(), "the same lab up with -wait all waits for it"); waits != (tt.phase == supervisor.Starting) {
			t.Errorf("%s: how to wait for the rest: %t in\n%s", tt.phase, waits, &out)
		}
	}
}

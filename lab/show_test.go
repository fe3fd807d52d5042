package main

import (
	"bytes"
	"strings"
	"testing"

	"soundcheck/internal/cli"
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
	var out bytes.Buffer
	if err := show(plan.Lab{}, starting(supervisor.Ready, supervisor.Building, supervisor.Ready), &out); err != nil || !strings.Contains(out.String(), "the rest is still starting") {
		t.Errorf("before all are ready, show writes %v\n%s", err, &out)
	}
}

// The estimate is shown while it is known.
func TestViewLeft(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := &view{Progress: cli.NewProgress(&out), seen: map[string]supervisor.State{}}
	st := supervisor.Status{Components: []supervisor.ComponentStatus{{Name: "jaeger", State: supervisor.Building, Done: 3, Total: 500}}}
	if got := v.work(st); !strings.HasPrefix(got, "building jaeger: 3 of 500 packages") {
		t.Errorf("without an estimate: %q", got)
	}
	st.BuildsLeft = 134
	if got := v.work(st); !strings.HasPrefix(got, "about 3 min left; building jaeger: ") {
		t.Errorf("with an estimate: %q", got)
	}
}

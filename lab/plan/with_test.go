package plan

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServices(t *testing.T) {
	t.Parallel()
	l := Lab{Offset: 5}
	list, err := l.Services([]string{"a=go run ./a", "b= X=1 ./b -flag=2 "}, []string{"b=https://localhost:8443/b/", "a=http://127.0.0.1:8080"}, "/dir", time.Minute)
	want := []Service{{"a", "go run ./a", "/dir", "http://127.0.0.1:8080", time.Minute}, {"b", "X=1 ./b -flag=2", "/dir", "https://localhost:8443/b", time.Minute}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("%+v, %v", list, err)
	}
	list, err = l.Services([]string{"a=x"}, []string{"http://10.0.0.1:9075"}, "/", time.Minute) // not on this machine
	if err != nil || list[0].URL != "http://10.0.0.1:9075" {
		t.Errorf("%+v, %v", list, err)
	}
	port := []string{"http://localhost:3005"}
	if _, err := l.Services([]string{"a=x"}, port, "/", time.Minute); err != nil { // without Grafana, its port is free
		t.Error(err)
	}
	if _, err := (Lab{Offset: 5, Grafana: true}).Services([]string{"a=x"}, port, "/", time.Minute); err == nil || !strings.Contains(err.Error(), "port 3005 is grafana's") {
		t.Errorf("with Grafana: %v", err)
	}
	l.UserServices = list
	l.UserServices = append(l.UserServices, Service{Name: "b", URL: "http://localhost"})
	components := l.Components()
	a, b := components[len(components)-2], components[len(components)-1]
	if a.Ports != nil || !slices.Equal(a.Needs, []string{"otel-collector"}) || !slices.Equal(b.Needs, []string{"a"}) ||
		len(b.Ports) != 1 || b.Ports[0].Number != 80 || a.Command != "x" || a.CanBeBuilt() {
		t.Errorf("%+v\n%+v", a, b)
	}
	for _, tt := range []struct {
		with, urls []string
		want       string
	}{
		{[]string{"checkout"}, nil, `-with "checkout" is not NAME=COMMAND`},
		{[]string{"checkout= "}, nil, `-with "checkout= " is not NAME=COMMAND`},
		{[]string{"=x"}, nil, `the name "" must be`},
		{[]string{"a/b=x"}, nil, `the name "a/b" must be`},
		{[]string{"a..=x"}, nil, `the name "a.." must be`},
		{[]string{"Proxy-Service=x"}, nil, `the name "Proxy-Service" is the lab's`},
		{[]string{"lab=x"}, nil, `the name "lab" is the lab's`},
		{[]string{"grafana=x"}, nil, `the name "grafana" is the lab's`},
		{[]string{"exercise-load-2=x"}, nil, `the name "exercise-load-2" is the lab's`},
		{[]string{"a=x", "A=y"}, nil, `-with "A=y": A is a duplicate`},
		{[]string{"a=x", "b=y"}, []string{"http://a:1"}, `with 2 -with, it must be NAME=URL`},
		{[]string{"a=x"}, []string{"c=http://a:1"}, `-with-url "c=http://a:1": no -with is named "c"`},
		{[]string{"a=x"}, []string{"localhost:8080"}, `-with-url "localhost:8080": "localhost:8080" is not an http:// or https:// URL`},
		{[]string{"a=x"}, []string{"127.0.0.1:8080"}, `"127.0.0.1:8080" is not an http:// or https:// URL`},
		{[]string{"a=x"}, []string{"a=8080"}, `-with-url "a=8080": "8080" is not an http://`},
		{[]string{"a=x"}, []string{"http://a:1", "http://a:2"}, "a has a URL already, http://a:1"},
		{[]string{"a=x"}, []string{"http://127.0.0.1:9075"}, "port 9075 is proxy-service's (HTTP)"},
		{[]string{"a=x", "b=y"}, []string{"a=http://localhost:8080", "b=http://127.0.0.1:8080/b"}, "port 8080 is a's"},
	} {
		if list, err := l.Services(tt.with, tt.urls, "/", time.Minute); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %q: %+v, %v; want %q", tt.with, tt.urls, list, err, tt.want)
		}
	}
}

// lookup returns the last value of a variable, which counts.
func lookup(env []string, name string) string {
	value := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

func TestServiceEnv(t *testing.T) { // not parallel: it sets variables
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_HEADERS"} {
		t.Setenv(name, "")
	}
	t.Setenv("SOUNDCHECK_LAB_DB", "postgres://me:secret@h/d")
	t.Setenv("MY_OWN", "kept")
	l := Lab{Offset: 5}
	of := func() []string {
		l.UserServices = []Service{{Name: "checkout", Command: "x"}}
		list := l.Components()
		c := list[len(list)-1]
		return slices.Concat(c.Env, c.ProcessEnv())
	}
	check := func(want map[string]string) {
		t.Helper()
		env := of()
		for name, value := range want {
			if got := lookup(env, name); got != value {
				t.Errorf("%s=%q, want %q", name, got, value)
			}
		}
	}
	check(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4323", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "checkout",
		"SOUNDCHECK_LAB_DB": "", "MY_OWN": "kept", "OTEL_METRICS_EXPORTER": "otlp"})
	if kept := l.Kept("checkout"); len(kept) > 0 {
		t.Errorf("kept %q", kept)
	}
	one, two := lookup(of(), "OTEL_RESOURCE_ATTRIBUTES"), lookup(of(), "OTEL_RESOURCE_ATTRIBUTES")
	if !strings.HasPrefix(one, "deployment.environment.name=native,service.instance.id=") || one == two {
		t.Errorf("attributes %q and %q", one, two)
	}

	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=a,service.instance.id=mine")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
	check(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4322", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
		"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.instance.id=mine,deployment.environment.name=native"})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4318")
	t.Setenv("OTEL_SERVICE_NAME", "shop")
	check(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318", "OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret"})
	want := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://elsewhere:4318", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_SERVICE_NAME=shop"}
	if kept := l.Kept("checkout"); !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

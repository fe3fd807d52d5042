package doctor

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"soundcheck/lab/plan"
)

func TestVariables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		set               string
		text, cause, next string // "": it is all right
	}{
		{"PATH=/bin", "", "", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4318", "", "", ""},
		{"OTEL_TRACES_SAMPLER=parentbased_always_on", "", "", ""},
		{"OTEL_PROPAGATORS=tracecontext,baggage", "", "", ""},
		{"OTEL_SDK_DISABLED=false", "", "", ""},
		{"OTEL_EXPORTER_OTLP_ENDPONT=http://h:4318", `OTEL_EXPORTER_OTLP_ENDPONT: unknown variable, it has no effect`, "a misspelled OTEL_EXPORTER_OTLP_ENDPOINT?", "unset OTEL_EXPORTER_OTLP_ENDPONT"},
		{"OTEL_LOGS_LEVEL_OF_DETAIL=1", `OTEL_LOGS_LEVEL_OF_DETAIL: unknown variable`, "", "unset OTEL_LOGS_LEVEL_OF_DETAIL"},
		{"OTEL_BSP_SCHEDULE_DELAY=5s", `OTEL_BSP_SCHEDULE_DELAY="5s": must be an integer`, "the default counts", "unset OTEL_BSP_SCHEDULE_DELAY"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=http/json", `OTEL_EXPORTER_OTLP_PROTOCOL="http/json": must be one of grpc, http/protobuf`, "", "unset"},
		{"OTEL_EXPORTER_OTLP_HEADERS=secret", "OTEL_EXPORTER_OTLP_HEADERS: what is not name=value", "", "unset"},
		{"OTEL_EXPORTER_OTLP_HEADER=authorization=secret", "OTEL_EXPORTER_OTLP_HEADER: unknown variable, it has no effect", "a misspelled OTEL_EXPORTER_OTLP_HEADERS?", "unset"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://me:secret@h", "OTEL_EXPORTER_OTLP_ENDPOINT: the scheme must be http or https", "the default counts", "unset"},
		{"OTEL_RESOURCE_ATTRIBUTES=a=b,c", "what is not name=value", "the rest of the value is used", "unset"},
		{"OTEL_SDK_DISABLED=true", "OTEL_SDK_DISABLED=true: no telemetry is recorded", "", "unset OTEL_SDK_DISABLED"},
		{"OTEL_TRACES_EXPORTER=none", "no traces are exported", "", "unset OTEL_TRACES_EXPORTER"},
		{"OTEL_PROPAGATORS=b3", "no traceparent is sent or read", "", "unset OTEL_PROPAGATORS"},
		{"OTEL_TRACES_SAMPLER=always_off", "traces are recorded in part or not at all", "", "unset OTEL_TRACES_SAMPLER"},
		{"OTEL_SERVICE_NAME=mine", "report under this name", "", "unset OTEL_SERVICE_NAME"},
	} {
		d := &doctor{Options: Options{Environ: []string{tt.set}}}
		c := d.checkVariables(t.Context())
		if tt.text == "" {
			wantOK(t, *c)
			continue
		}
		want(t, *c, Warning, tt.text, tt.cause, tt.next)
		if len(c.Findings) != 1 || strings.Contains(c.Findings[0].Text, "secret") {
			t.Errorf("%s: %+v, want one finding without credentials", tt.set, c.Findings)
		}
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	proxy := "http://me:secret@" + l.Addr().String()
	for _, tt := range []struct {
		environ           []string
		text, cause, next string
	}{
		{nil, "", "", ""},
		{[]string{"http_proxy=" + proxy, "NO_PROXY=localhost,127.0.0.1"}, "", "", ""},
		{[]string{"http_proxy=" + proxy, "no_proxy=.example.com, localhost ,127.0.0.0/8"}, "", "", ""},
		{[]string{"ALL_PROXY=" + proxy, "no_proxy=*"}, "", "", ""},
		{[]string{"https_proxy=" + proxy}, "", "", ""}, // the lab has no https
		{[]string{"HTTP_PROXY=" + proxy}, "HTTP_PROXY=http://me@", "NO_PROXY does not name both", "export NO_PROXY=localhost,127.0.0.1,::1 no_proxy=localhost,127.0.0.1,::1"},
		{[]string{"http_proxy=" + proxy, "no_proxy=localhost"}, "http_proxy=http://me@", "", "export NO_PROXY=localhost,localhost,127.0.0.1,::1"},
		{[]string{"HTTPS_PROXY=http://127.0.0.1:1"}, "the proxy of HTTPS_PROXY=http://127.0.0.1:1 does not accept connections", "connection refused", "unset HTTPS_PROXY"},
		{[]string{"https_proxy=http://"}, "https_proxy=http:// is not a URL", "", "unset https_proxy"},
	} {
		d := &doctor{Options: Options{Environ: tt.environ}}
		c := d.checkProxies(t.Context())
		if tt.text == "" {
			wantOK(t, *c)
			continue
		}
		want(t, *c, Warning, tt.text, tt.cause, tt.next)
		if strings.Contains(c.Findings[0].Text+c.Text, "secret") {
			t.Errorf("%+v has a password", c)
		}
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	command := func(script string) []string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return []string{"PATH=" + dir}
	}
	for _, tt := range []struct {
		environ           []string
		outcome           Outcome
		text, cause, next string
	}{
		{os.Environ(), OK, "go", "", ""},
		{[]string{"PATH=" + t.TempDir()}, Problem, "there is no go command on PATH", "", "https://go.dev/dl"},
		{command("echo 'go: go.mod requires go >= 9.9 (running go 1.1; GOTOOLCHAIN=local)' >&2; exit 1"), Problem, "the go command fails", "go.mod requires go >= 9.9", "go version"},
		{command("printf 'go1.1\\n\\nauto\\n'"), Warning, "the go command is go1.1, and this program was built with go", "", "go run ./lab doctor"},
		{append(os.Environ(), "GOFLAGS=-mod=vendor"), Problem, "GOFLAGS has -mod=vendor", "", "unset GOFLAGS"},
	} {
		d := &doctor{Options: Options{Lab: plan.Lab{Root: "../.."}, Environ: tt.environ}}
		c := d.checkGo(t.Context())
		if tt.outcome == OK {
			wantOK(t, *c)
		} else {
			want(t, *c, tt.outcome, tt.text, tt.cause, tt.next)
		}
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Error(err)
	}
}

// An endpoint of the environment is checked with the protocol that is set; what the doctor prints makes an exporter work.
func TestEnvironmentEndpoint(t *testing.T) {
	receiver := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h) // of HTTP/1.1
		t.Cleanup(s.Close)
		return s.URL
	}
	url := receiver(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			http.NotFound(w, r)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	for _, tt := range []struct {
		environ           []string
		text, cause, next string
	}{
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url}, "", "", ""},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + strings.TrimPrefix(url, "http://")}, "", "", ""},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + url + "/v1/traces"}, "", "", ""},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "OTEL_EXPORTER_OTLP_ENDPOINT " + url + " does not accept grpc", "the server speaks http/protobuf there", "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{[]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=" + url, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=grpc"}, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT " + url + " does not accept grpc", "", "export OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, "does not accept http/protobuf: dial tcp 127.0.0.1:1", "nothing listens on 127.0.0.1:1", "go run ./lab doctor -otlp http://127.0.0.1:1"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + strings.Replace(url, "//", "//me:secret@", 1)}, "", "", ""},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://me:secret@127.0.0.1:1"}, "ENDPOINT http://me@127.0.0.1:1 does not accept", "", "go run ./lab doctor -otlp http://me@127.0.0.1:1"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver(http.NotFound)}, "does not accept http/protobuf: HTTP 404", "no route", "go run ./lab doctor -otlp "},
	} {
		d := &doctor{Options: Options{Environ: tt.environ}}
		c := d.checkOTLP(t.Context())
		if tt.text == "" {
			wantOK(t, *c)
		} else {
			want(t, *c, Problem, tt.text, tt.cause, tt.next)
		}
		if strings.Contains(fmt.Sprintf("%+v", c), "secret") {
			t.Errorf("%+v has a password", c)
		}
	}
	// All at the same time: the first request waits for those to the other endpoints.
	var others sync.WaitGroup
	others.Add(3)
	all := receiver(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first/v1/traces" {
			others.Wait()
		} else {
			others.Done()
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	c := (&doctor{Options: Options{Environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + all + "/first", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + all + "/t",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + all + "/m", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=" + all + "/l"}}}).checkOTLP(t.Context())
	if wantOK(t, *c); strings.Count(c.Text, "accepts") != 4 {
		t.Errorf("%+v", c)
	}
	if c := (&doctor{}).checkOTLP(t.Context()); c.Outcome != Skipped {
		t.Errorf("without an endpoint: %+v", c)
	}
	e, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(url+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ExportSpans(t.Context(), tracetest.SpanStubs{{Name: "probe"}}.Snapshots()); err != nil {
		t.Error(err)
	}
}

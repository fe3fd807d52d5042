package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

func TestDoctor(t *testing.T) {
	seen := http.Header{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			seen = r.Header
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer s.Close()
	for _, tc := range []struct {
		args []string
		code int
		want string // on stdout, or the error
	}{
		{[]string{"-otlp", s.URL, "-header", "x-team=lab"}, 0, "http/protobuf  ok      HTTP 200 OK"},
		{[]string{"-otlp", s.URL, "-protocol", "http/protobuf"}, 0, "OTEL_EXPORTER_OTLP_ENDPOINT=" + s.URL + " OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{[]string{"-otlp", s.URL, "-protocol", "grpc"}, 1, "cause: a server or a proxy in between speaks HTTP/1.1"},
		{[]string{"-otlp", "localhost:4317"}, 2, "-otlp: "},
		{[]string{"-protocol", "http/json"}, 2, `-protocol "http/json" is not grpc or http/protobuf`},
		{[]string{"-header", "x-team"}, 2, "must be NAME=VALUE"},
		{[]string{"-header", "x-other=lab"}, 2, "-protocol and -header need -otlp"},
		{[]string{"-protocol", "grpc"}, 2, "-protocol and -header need -otlp"},
		{[]string{"-otlp", s.URL, "-state", "x"}, 2, "-otlp checks one endpoint: it excludes -state, -port-offset and -format"},
		{[]string{"-otlp", s.URL, "-format", "json"}, 2, "excludes"},
		{[]string{"-format", "xml"}, 2, `-format "xml" is not text or json`},
		{[]string{"-port-offset", "-1"}, 2, "-port-offset -1 is out of range"},
		{[]string{"now"}, 2, "now"},
	} {
		var stdout, stderr strings.Builder
		err := run(t.Context(), append([]string{"doctor"}, tc.args...), func(string) string { return "" }, &stdout, &stderr)
		code := cli.Code("lab", &stderr, err)
		if code != tc.code || !strings.Contains(stdout.String()+stderr.String(), tc.want) {
			t.Errorf("lab doctor %v: code %d, printed %q, %q; want code %d, %q", tc.args, code, stdout.String(), stderr.String(), tc.code, tc.want)
		}
		if tc.args[len(tc.args)-1] == "x-team=lab" && seen.Get("X-Team") != "lab" {
			t.Errorf("headers of the request: %v", seen)
		}
	}
}

// downLab returns flags of a lab that is down and whose ports are free.
func downLab(t *testing.T) (l plan.Lab, args []string) {
	t.Helper()
	l = plan.Lab{State: filepath.Join(t.TempDir(), "state")}
	for l.Offset = 14000 + os.Getpid()%20*41; supervisor.CheckPorts(l.Components()) != nil; l.Offset += 37 {
		if l.Offset > 15900 { // ports from 32768 on are those of clients on Linux
			t.Fatal("no ports are free")
		}
	}
	return l, []string{"-state", l.State, "-port-offset", strconv.Itoa(l.Offset)}
}

// A lab that is down is examined: exit code 1 if a port is taken. The folder is not created.
func TestDoctorDown(t *testing.T) {
	l, args := downLab(t)
	stdout, stderr, _ := lab(t.Context(), append([]string{"doctor"}, args...)...) // the machine of the tests can have a problem
	ports := 0
	for _, c := range l.Components() {
		ports += len(c.Ports)
	}
	if !strings.Contains(stdout, fmt.Sprintf("\nports        ok      all %d ports are free\n", ports)) || !strings.HasSuffix(stdout, ": "+l.State+"\n") || stderr != "" {
		t.Errorf("stdout\n%s\nstderr %q", stdout, stderr)
	}
	if _, err := os.Stat(l.State); err == nil {
		t.Error("the state folder was created")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(plan.ProxyPort+l.Offset))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	stdout, _, code := lab(t.Context(), append([]string{"doctor", "-format", "json"}, args...)...)
	var r struct {
		State    string
		Problems int
		Checks   []struct {
			Name, Result string
			Findings     []struct{ Result, Text, Next, Or string }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if code != 1 || r.Problems < 1 || r.State != l.State || len(r.Checks) != 16 {
		t.Errorf("code %d, %+v", code, r)
	}
	for _, c := range r.Checks {
		if c.Name == "ports" && (c.Result != "problem" || len(c.Findings) != 1 || !strings.Contains(c.Findings[0].Text, "(proxy-service) is in use by ") || !strings.Contains(c.Findings[0].Or, "lab up -state "+l.State+" -port-offset ")) {
			t.Errorf("%+v", c)
		}
	}
}

// The error of lab up is followed by the problems that the doctor finds, and by no warnings.
func TestUpDiagnoses(t *testing.T) {
	l, args := downLab(t)
	port := strconv.Itoa(plan.ProxyPort + l.Offset)
	taken, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	stdout, stderr, code := lab(t.Context(), append([]string{"up", "-foreground"}, args...)...)
	reason, found, ok := strings.Cut(stderr, "\nlab doctor found:\n")
	if code != 1 || stdout != "" || !ok || strings.Count(stderr, "lab: ") != 1 || !strings.Contains(reason, "port "+port+" is in use, proxy-service needs it") {
		t.Errorf("code %d, stdout %q, stderr\n%s", code, stdout, stderr)
	}
	if !strings.Contains(found, "ports        problem port "+port+" (proxy-service) is in use by ") || !strings.Contains(found, "next:  ") || strings.Contains(found, "warning") {
		t.Errorf("found\n%s", found)
	}
}

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"soundcheck/internal/cli"
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

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// labWith runs the lab command with these environment variables.
func labWith(ctx context.Context, env map[string]string, args ...string) (stderr string, code int) {
	var out, errs bytes.Buffer
	err := run(ctx, args, func(name string) string { return env[name] }, &out, &errs)
	code = cli.Code("lab", &errs, err)
	return errs.String(), code
}

// Flags and variables that exclude each other, or that lead nowhere, are errors before a start.
func TestProgramFlags(t *testing.T) {
	t.Parallel()
	const closed = "http://127.0.0.1:1" // no request to the internet
	offset := 15100
	for ; supervisor.CheckPorts((plan.Lab{Offset: offset, Grafana: true}).Components()) != nil; offset += 7 {
		if offset > 15900 { // ports from 32768 on are those of clients on Linux
			t.Fatal("no ports are free")
		}
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		code int
		want []string
	}{
		"unknown source":      {nil, []string{"-from", "net"}, 2, []string{`-from "net" is not auto, release or source`}},
		"empty source":        {nil, []string{"-from", ""}, 2, []string{`-from "" is not auto, release or source`}},
		"unknown by variable": {map[string]string{"SOUNDCHECK_LAB_FROM": "net"}, nil, 2, []string{`-from "net"`}},
		"source and variable": {map[string]string{"SOUNDCHECK_OTELCOL_CONTRIB": "/o"}, []string{"-from", "source"}, 2, []string{"-from source excludes SOUNDCHECK_OTELCOL_CONTRIB=/o"}},
		"gone":                {map[string]string{"SOUNDCHECK_JAEGER": "/none/jaeger", "SOUNDCHECK_MIRROR": closed}, nil, 1, []string{"SOUNDCHECK_JAEGER=/none/jaeger: no such file or directory"}},
		"not absolute":        {map[string]string{"SOUNDCHECK_PROMETHEUS": "prometheus", "SOUNDCHECK_MIRROR": closed}, nil, 1, []string{"SOUNDCHECK_PROMETHEUS=prometheus: not an absolute path"}},
		"no Grafana":          {map[string]string{"SOUNDCHECK_MIRROR": closed}, []string{"-grafana"}, 1, []string{"grafana", "install Grafana 12, or set SOUNDCHECK_GRAFANA=/path/bin/grafana"}},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: they use the same ports
			state, err := os.MkdirTemp("", "lab") // short enough for a socket
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(state) })
			args := append([]string{"up", "-foreground", "-state", state, "-port-offset", strconv.Itoa(offset)}, tt.args...)
			stderr, code := labWith(t.Context(), tt.env, args...)
			for _, want := range tt.want {
				if code != tt.code || !strings.Contains(stderr, want) {
					t.Errorf("%v lab %q: code %d, stderr %q; want %d, %q", tt.env, args, code, stderr, tt.code, want)
				}
			}
			if data, err := os.ReadDir(filepath.Join(state, "data")); err == nil && len(data) > 0 {
				t.Errorf("something was started: %v", data)
			}
		})
	}
}

// A running lab is joined only if it is the one that the flags describe.
func TestJoinPrograms(t *testing.T) {
	t.Parallel()
	state := noStore(t, "http://h:1")
	for flag, want := range map[string]string{"-grafana": "a lab with no Grafana is running", "-from=source": "a lab with -from auto is running"} {
		args := []string{"up", "-state", state, "-store", "http://h:1", flag}
		if stderr, code := labWith(t.Context(), nil, args...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("lab %q: code %d, stderr %q, want %q", args, code, stderr, want)
		}
	}
	want := "the lab in " + state + " runs no Grafana: start it with lab up -grafana"
	if stderr, code := labWith(t.Context(), nil, "restart", "-state", state, "grafana"); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("restart grafana: code %d, stderr %q, want %q", code, stderr, want)
	}
}

// verify lists what runs, and reports a version that does not fit.
func TestVerifiedPrograms(t *testing.T) {
	t.Parallel()
	got := programs(supervisor.Status{Components: []supervisor.ComponentStatus{
		{Name: "jaeger", Version: "2.13.0", From: supervisor.FromBuild}, {Name: "prometheus", Version: "3.5.0", From: "PATH"}, {Name: plan.ProxyName, From: supervisor.FromBuild}}})
	if len(got) != 3 || got[0].Problem != "" || !strings.Contains(got[1].Problem, "version 3.5.0, want 3.16.0 or later") || got[2].Problem != "" {
		t.Errorf("programs = %+v", got)
	}
}

// A lab without a database has no telemetry of one.
func TestVerifiedInMemory(t *testing.T) {
	for database, want := range map[string]bool{"memory": true, "sqlite:/tmp/albums.db": false, "": false} {
		f := newVerifyFlags()
		f.storesOf(t.Context(), supervisor.Status{Database: database}, plan.Lab{}, nil)
		if f.o.InMemory != want {
			t.Errorf("database %q: InMemory is %v", database, f.o.InMemory)
		}
	}
}

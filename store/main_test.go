package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/internal/service/servicetest"
)

func noenv(string) string { return "" }

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-h"}, 0, ""},
		{[]string{"-nope"}, 2, "flag provided but not defined: -nope"},
		{[]string{"serve"}, 2, `unexpected argument "serve"`},
		{[]string{"-addr", "9080"}, 2, `-addr "9080" is not host:port`},
		{[]string{"-addr", "127.0.0.1:x"}, 2, `-addr "127.0.0.1:x": the port must be a number from 0 to 65535`},
		{[]string{"-addr", ":70000"}, 2, `-addr ":70000": the port must be a number from 0 to 65535`},
		{[]string{"-max-body", "1"}, 2, "-max-body 1 is out of range: 1024 to 1073741824"},
		{[]string{"-drain-timeout", "-1s"}, 2, "-drain-timeout -1s is out of range: 0s to 10m"},
		{[]string{"-flush-timeout", "1h"}, 2, "-flush-timeout 1h0m0s is out of range: 0s to 10m"},
	} {
		var stdout, stderr bytes.Buffer
		code := cli.Code("store", &stderr, run(t.Context(), tt.args, noenv, &stdout, &stderr))
		if code != tt.code || !strings.HasPrefix(stderr.String(), strings.TrimSpace("store: "+tt.want)) && tt.code != 0 {
			t.Errorf("store %v = %d, %s, want %d, %s", tt.args, code, stderr.String(), tt.code, tt.want)
		}
		if tt.code == 0 && !strings.HasPrefix(stdout.String(), "usage: store [flags]\n") {
			t.Errorf("store %v says %s", tt.args, stdout.String())
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("OTEL_SDK_DISABLED", "true")
	var stderr bytes.Buffer
	err = run(t.Context(), []string{"-addr", l.Addr().String()}, noenv, io.Discard, &stderr)
	if code := cli.Code("store", &stderr, err); code != 1 || stderr.String() != "store: listen "+l.Addr().String()+": bind: address already in use\n" {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}

// The store starts with its three albums, ends with its context, and what it
// traced is delivered by then.
func TestRun(t *testing.T) {
	otlp := servicetest.NewReceiver(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := servicetest.Start(t, ctx, run, "-addr", "127.0.0.1:0")
	resp, err := http.Get(p.URL + "/albums/1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != `{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99}` {
		t.Errorf("album 1 = %s, %v", body, err)
	}
	cancel()
	if err := <-p.Result; err != nil {
		t.Errorf("run() = %v", err)
	}
	if otlp.Count("/v1/traces") == 0 || otlp.Count("/v1/metrics") == 0 || otlp.Count("/v1/logs") == 0 {
		t.Error("traces, metrics or logs were not flushed at the end")
	}
}

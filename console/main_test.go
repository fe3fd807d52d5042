package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"soundcheck/console/server"
	"soundcheck/internal/cli"
	"soundcheck/internal/cli/clitest"
)

func none(string) string { return "" }

func code(err error) int { return cli.Code("console", io.Discard, err) }

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := parse(nil, none, io.Discard)
	if err != nil || c.addr != "127.0.0.1:3300" || c.tracesAddr != "" || c.prometheus.String() != "http://127.0.0.1:9090" || c.jaeger.String() != "http://127.0.0.1:16697" || !filepath.IsAbs(c.state) || c.kubernetes {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = parse([]string{"-traces-addr", "127.0.0.1:0", "-jaeger", "https://jaeger:1/base", "-state", "/s"}, func(name string) string {
		return map[string]string{"SOUNDCHECK_CONSOLE_ADDR": "127.0.0.1:1"}[name]
	}, io.Discard)
	if err != nil || c.addr != "127.0.0.1:1" || c.tracesAddr != "127.0.0.1:0" || c.jaeger.String() != "https://jaeger:1/base" || c.state != "/s" {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = parse(nil, func(name string) string { return map[string]string{"KUBERNETES_SERVICE_HOST": "10.43.0.1"}[name] }, io.Discard)
	if err != nil || !c.kubernetes {
		t.Errorf("in a pod: %+v, %v", c, err)
	}
	c, err = parse([]string{"-containers", "a=http://a:1/readyz,b-2=https://b:2/", "-port-offset", "7"}, none, io.Discard)
	if want := []server.Container{{Name: "a", Ready: "http://a:1/readyz"}, {Name: "b-2", Ready: "https://b:2/"}}; err != nil || !slices.Equal(c.containers, want) || c.offset != 7 {
		t.Errorf("%+v, %v, want %v", c, err, want)
	}
	for args, want := range map[string]string{
		"-containers=a": `-containers: "a" is not name=URL`, "-containers=a=http://a:1,=http://b:1": `-containers: "=http://b:1" is not name=URL`,
		"-containers=a=b:1": "-containers", "-port-offset=1": "-port-offset requires -containers", "-port-offset=-1": "-port-offset -1 is out of range", "-containers=a=http://a -port-offset=40001": "-port-offset 40001 is out of range: 0 to 40000",
		"-addr=": "-addr must not be empty", "-addr=3300": `-addr "3300" is not host:port`, "-addr=127.0.0.1:99999": "-addr", "-addr=127.0.0.1:http": "-addr",
		"-traces-addr=x": "-traces-addr", "-prometheus=9090": "-prometheus", "-prometheus=": "-prometheus", "-jaeger=ftp://x": "-jaeger", "-jaeger=http://a,http://b": "more than one",
		"-state=": "-state must not be empty", "-nothing": "nothing", "argument": "argument",
		"-admin-addr=0.0.0.0:1": `-admin-addr "0.0.0.0:1": the host must be 127.0.0.1`, "-admin-addr=1": "-admin-addr",
		"-allow-control -containers=a=http://a:1":    "-allow-control does not work in containers",
		"-addr=127.0.0.1:7 -traces-addr=127.0.0.1:7": "-traces-addr and -addr are the same",
	} {
		_, err := parse(strings.Fields(args), none, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parse(%s) = %v, want %q", args, err, want)
		}
		if got := code(err); got != 2 {
			t.Errorf("parse(%s): exit code %d, want 2", args, got)
		}
	}
}

// Pages of a console that listens beyond this machine change nothing, unless a flag lets them.
func TestNoControl(t *testing.T) {
	t.Parallel()
	for args, refused := range map[string]bool{"": false, "-addr=localhost:1": false, "-addr=[::1]:1": false, "-addr=127.0.0.2:1 -traces-addr=127.0.0.1:2": false,
		"-addr=0.0.0.0:1": true, "-addr=:1": true, "-addr=host:1": true, "-traces-addr=192.0.2.1:1": true, "-addr=0.0.0.0:1 -allow-control": false} {
		c, err := parse(strings.Fields(args), none, io.Discard)
		if got := c.noControl(); err != nil || (got != "") != refused {
			t.Errorf("%s: %q, %v, want refused: %v", args, got, err, refused)
		}
	}
}

// Both addresses respond, the second with the traces first, and both stop with the program.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, done := new(clitest.Output), make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "127.0.0.1:0", "-traces-addr", "127.0.0.1:0", "-state", t.TempDir()}, none, out, io.Discard)
	}()
	addresses := out.Listening(t, 2)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var fronts []string
	for _, addr := range addresses {
		resp, err := client.Get("http://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		fronts = append(fronts, resp.Status+" "+resp.Header.Get("Location"))
		resp, err = client.Get("http://" + addr + "/status")
		if err != nil {
			t.Fatal(err)
		}
		var st struct{ Service string }
		if err := json.NewDecoder(resp.Body).Decode(&st); err != nil || st.Service != "console" {
			t.Errorf("/status: %+v, %v", st, err)
		}
		resp.Body.Close()
	}
	if got := strings.Join(fronts, ","); got != "200 OK ,302 Found /traces" && got != "302 Found /traces,200 OK " {
		t.Errorf("the fronts: %s", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run() = %v", err)
	}
}

// The program fails if either port is in use.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{{"-addr", l.Addr().String()}, {"-addr", "127.0.0.1:0", "-traces-addr", l.Addr().String()}} {
		err := run(t.Context(), append(args, "-state", t.TempDir()), none, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "listen "+l.Addr().String()) || code(err) != 1 {
			t.Errorf("run(%q) = %v (exit code %d)", args, err, code(err))
		}
	}
}

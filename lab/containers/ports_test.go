package containers

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The Compose files publish the ports of package plan, on 127.0.0.1, each under a variable
// of its own, and no others.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../compose/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%q, %v", files, err)
	}
	var text []byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	got := map[string]int{}
	published := regexp.MustCompile(`^127\.0\.0\.1:\$\{(\w+):-(\d+)\}:\d+$`)
	for _, entry := range regexp.MustCompile(`(?m)(?:ports:.*\[|^      - )"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		m := published.FindStringSubmatch(entry[1])
		if m == nil {
			t.Fatalf("a file publishes %q, want 127.0.0.1:${VARIABLE:-PORT}:PORT", entry[1])
		}
		got[m[1]], _ = strconv.Atoi(m[2])
	}
	for _, p := range ports {
		if got[p.variable] != p.number {
			t.Errorf("the files publish %s=%d, want %d", p.variable, got[p.variable], p.number)
		}
	}
	if len(got) != len(ports) {
		t.Errorf("the files publish %v, want those of package plan", got)
	}
	// The ports of what runs outside.
	for _, want := range []string{
		fmt.Sprintf("${STORE_URL:-http://host.docker.internal:%d}", store.number),
		fmt.Sprintf("${OTLP_URL:-http://host.docker.internal:%d}", otlpHTTP.number),
		fmt.Sprintf("LAB_JAEGER_PAGE_URL: http://127.0.0.1:${JAEGER_PORT:-%d}", jaeger.number),
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the files lack %s", want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    Options
		want string // proxy, store, Prometheus, Jaeger, OTLP, console, Grafana, edge
	}{
		{Options{}, "9070 - 9090 16696 4318 - 3000 -"},
		{Options{WithEdge: true, WithConsole: true}, "9070 - 9090 16696 4318 3300 3000 8070"},
		{Options{Images: Local}, "9070 - 9090 16696 4318 3300 - -"},
		{Options{Images: Local, Limited: true, Offset: 10}, "9080 - 9100 16706 4328 3310 - -"},
		{Options{OnlyStore: true}, "- 9080 - - - - - -"},
	} {
		l := newLab(t, tt.o)
		var got []string
		for _, url := range []string{l.Proxy(), l.Store(), l.Prometheus(), l.Jaeger(), l.OTLP(), l.Console(), l.Grafana(), l.Edge()} {
			if url == "" {
				url = "-"
			}
			got = append(got, strings.TrimPrefix(url, "http://127.0.0.1:"))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%+v: %s, want %s", tt.o, s, tt.want)
		}
		seen := map[int]string{}
		for _, p := range ports {
			if l.publishes(p) && seen[p.number] != "" {
				t.Errorf("%+v: %s and %s have the same port", tt.o, p.use, seen[p.number])
			}
			if l.publishes(p) {
				seen[p.number] = p.use
			}
		}
	}
}

func TestHostPorts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]int{
		"":                                   nil,
		"5432/tcp":                           nil,
		"127.0.0.1:9070->9070/tcp":           {9070},
		"127.0.0.1:4317-4318->4317-4318/tcp": {4317, 4318}, // the Collector's at offset 0
		"127.0.0.1:3300->3300/tcp, 127.0.0.1:16696->16696/tcp": {3300, 16696},
		"0.0.0.0:80->80/tcp, [::]:80->80/tcp, 9/udp":           {80, 80},
	} {
		if got := hostPorts(line); !slices.Equal(got, want) {
			t.Errorf("hostPorts(%q) = %v, want %v", line, got, want)
		}
	}
}

func TestCheckPorts(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	begun := filepath.Join(t.TempDir(), "begun")
	fakeDocker(t, ">"+begun+"; exec sleep 3600")
	if err := newLab(t, Options{}).CheckPorts(interruptedBy(t, begun)); err != context.Canceled {
		t.Errorf("interrupted: %v, want %v", err, context.Canceled)
	}
	taken := listener.Addr().(*net.TCPAddr).Port
	l := newLab(t, Options{OnlyStore: true, Offset: taken - store.number})
	fakeDocker(t, "")
	err = l.CheckPorts(t.Context())
	if want := fmt.Sprintf("port %d (the album store) is in use: ", taken); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s…", err, want)
	}
	// The lab's own ports are those that its containers publish, whatever the service.
	for _, tt := range []struct {
		state, ports string
		own          bool
	}{
		{"running", fmt.Sprintf("127.0.0.1:%d->9080/tcp", taken), true},
		{"paused", fmt.Sprintf("5432/tcp, 127.0.0.1:%d-%d->9080-9081/tcp", taken, taken+1), true},
		{"running", "9080/tcp", false},
		{"running", fmt.Sprintf("127.0.0.1:%d->9080/tcp", taken+1), false}, // STORE_PORT=… docker compose up
		{"exited", "", false},
	} {
		fakeDocker(t, fmt.Sprintf(`case "$*" in *project=%s*) printf '1\t%s\t\t%s\talbum-store-1\tFalse\t\t\t.\n' ;; esac`, l.Name(), tt.state, tt.ports))
		if err := l.CheckPorts(t.Context()); (err == nil) != tt.own {
			t.Errorf("port %d, and the store is %s and publishes %q: %v", taken, tt.state, tt.ports, err)
		}
	}
	fakeDocker(t, "")
	listener.Close()
	if err := l.CheckPorts(t.Context()); err != nil {
		t.Errorf("a port that is free: %v", err)
	}
	t.Setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
	fakeDocker(t, "exit 1")
	if err := l.CheckPorts(t.Context()); err != nil {
		t.Errorf("ports of another machine: %v", err)
	}
}

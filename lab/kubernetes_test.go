package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fakeKubectl is kubectl for a release "x" in namespace "n" with the components in $COMPONENTS. It
// prints a port that nobody listens on: lab/kube tests what is forwarded.
const fakeKubectl = `#!/bin/sh
echo "$*" >>"$CALLS"
[ "$1" = --context ] && shift 2
case "$1" in
get)
	if [ "$2" = pods ]; then
		[ -n "$NO_PODS" ] || printf '{"items":[{"metadata":{"name":"x-otel-collector-0"},"status":{"containerStatuses":[{"name":"otel-collector","state":{"running":{}}}]}}]}'
		[ -z "$NO_PODS" ] || printf '{"items":[]}'
		exit
	fi
	printf '{"items":['
	s=
	for c in $COMPONENTS; do
		printf '%s{"metadata":{"name":"x-%s","namespace":"n","labels":{"app.kubernetes.io/instance":"x","app.kubernetes.io/component":"%s"}},"spec":{"ports":[{"port":9070},{"port":9090},{"port":16696},{"port":4318}]}}' "$s" $c $c
		s=,
	done
	printf ']}' ;;
port-forward)
	[ -z "$FORBIDDEN" ] || { echo 'Error from server (Forbidden): no' >&2; exit 1; }
	echo "Forwarding from 127.0.0.1:1 -> 1"
	exec sleep 60 ;;
logs) exec sleep 60 ;;
exec) printf '{"name":"otlp.jsonl","size":1}\n' ;;
esac
`

// Everything about a release has a default, and flags override it: what they set is not forwarded.
func TestVerifyKubernetes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(fakeKubectl), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	some, complete := t.TempDir(), t.TempDir()
	for path := range map[string]bool{filepath.Join(some, "album-store.log"): true, filepath.Join(complete, "album-store.log"): true,
		filepath.Join(complete, "proxy-service.log"): true, filepath.Join(complete, "otlp.jsonl"): true} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const (
		components = "proxy-service album-store prometheus jaeger otel-collector grafana"
		all        = "-proxy http://a:1/ -prometheus http://a:2 -jaeger http://a:3 -otlp http://a:4"
		given      = "http://a:1 http://a:2 http://a:3 http://a:4"
		logs       = ", proxy-service (containers), album-store (containers), Collector log records (containerRecords)"
		local      = "http://L http://L http://L http://L"
	)
	for _, tt := range []struct {
		about, components, env, args string
		want                         string
		forwards, calls              int // of port-forward, in total; -1: any
	}{
		{"all known", components, "", "", local + logs, 4, -1},
		{"selected", components, "", "-namespace n -release x -context c", local + logs, 4, -1},
		{"some given", components, "", "-prometheus http://a:2/ -otlp http://a:4", "http://L http://a:2 http://L http://a:4" + logs, 2, -1},
		{"all given", components, "", all, given + ", no : no log location is known for -env k8s at http://a:1: set -logs, or -release to read the logs of its pods", 0, 0},
		{"all given, with a release", components, "", all + " -release x", given + logs, 0, -1},
		{"all given, with its folder", components, "", all + " -logs " + complete, given + ", proxy-service.log (file), album-store.log (file), Collector log records (file)", 0, 0},
		{"all given, with its folder and release", components, "", all + " -release x -logs " + complete, given + ", proxy-service.log (file), album-store.log (file), Collector log records (file)", 0, 0},
		{"a log given", components, "", "-logs " + some, local + ", proxy-service (containers), album-store.log (file), Collector log records (containerRecords)", 4, -1},
		{"external store", strings.Replace(components, "album-store", "", 1), "", "", local + ", proxy-service (containers), Collector log records (containerRecords), no album-store: it runs in no container: set -logs to a folder with its album-store.log, store elsewhere", 4, -1},
		{"external proxy", strings.Replace(components, "proxy-service", "", 1), "", "", "error: release x in namespace n has no proxy-service: set -proxy", 0, -1},
		{"external proxy given", strings.Replace(components, "proxy-service", "", 1), "", "-proxy http://a:1", "http://a:1 http://L http://L http://L, album-store (containers), Collector log records (containerRecords), no proxy-service: it runs in no container: set -logs to a folder with its proxy-service.log", 3, -1},
		{"no release", "", "", "", "error: no release of the chart soundcheck in any namespace: install it (make k8s-up), or select one with -namespace, -release, -context", 0, 2},
		{"no permission", components, "FORBIDDEN", "", "error: forward port 9070 of proxy-service: no permission (kubectl port-forward): Error from server (Forbidden): no", -1, -1},
		{"no Collector", components, "NO_PODS", "", "error: log records of the Collector: no pod of otel-collector runs: are its pods ready? (kubectl get pods --namespace n)", 4, -1},
		{"given wrong", components, "", "-otlp h:4318", "error: -otlp: ", 0, 0},
	} {
		t.Run(tt.about, func(t *testing.T) {
			calls := filepath.Join(t.TempDir(), "calls")
			t.Setenv("CALLS", calls)
			t.Setenv("COMPONENTS", tt.components)
			t.Setenv("FORBIDDEN", "")
			t.Setenv("NO_PODS", "")
			if tt.env != "" {
				t.Setenv(tt.env, "yes")
			}
			got := found(t, nil, append([]string{"-env", "k8s", "-state", dir}, strings.Fields(tt.args)...)...)
			got = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(got, "L")
			if got != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			b, _ := os.ReadFile(calls)
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			if len(b) == 0 {
				lines = nil
			}
			if n := strings.Count(string(b), "port-forward "); tt.forwards >= 0 && n != tt.forwards || tt.calls >= 0 && len(lines) != tt.calls {
				t.Errorf("%d ports forwarded, %d calls, want %d, %d:\n%s", n, len(lines), tt.forwards, tt.calls, b)
			}
			if strings.Contains(tt.args, "-context c") && strings.Count(string(b), "--context c ") != len(lines) {
				t.Errorf("calls without the context:\n%s", b)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	if got, want := found(t, nil, "-env", "k8s", "-state", dir), "error: kubectl command not found: install it ("; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

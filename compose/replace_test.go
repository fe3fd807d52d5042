package main

import (
	"os"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	l := newLab(t)
	if _, stderr, code := l.run(t.Context(), "replace", "album-store-1"); code != 1 || !strings.Contains(stderr, "no lab in Docker Compose") {
		t.Errorf("before up: %d, %s", code, stderr)
	}
	if _, stderr, code := l.run(t.Context(), "up", "-port-offset", "100"); code != 0 {
		t.Fatalf("up: %d, %s", code, stderr)
	}
	// Unknown services are rejected before any change.
	if err := os.Remove(l.calls); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "name a service: one or more of postgres, album-store-1, album-store-2, "},
		{[]string{"album-store-1", "album-store-3"}, `no service "album-store-3" in this lab: one or more of postgres, `},
		{[]string{"nginx"}, `no service "nginx" in this lab`},
		{[]string{"prepare"}, `no service "prepare" in this lab`},
	} {
		if _, stderr, code := l.run(t.Context(), append([]string{"-port-offset", "100", "replace"}, tt.args...)...); code != 2 || !strings.HasPrefix(stderr, "compose: "+tt.want) {
			t.Errorf("replace %q: %d, %s, want 2, %s", tt.args, code, stderr, tt.want)
		}
	}
	asked, err := os.ReadFile(l.calls)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(asked)) { // whose lab it is, and what of
		if !strings.Contains(line, "volume ls ") && !strings.Contains(line, "ps --all ") && !strings.Contains(line, "compose version ") {
			t.Errorf("docker was called: %s", line)
		}
	}
	out, stderr, code := l.run(t.Context(), "replace", "-port-offset", "100", "album-store-2", "album-store-1")
	if code != 0 || out != "replaced album-store-2\nreplaced album-store-1\n" {
		t.Errorf("%d, %q, %s", code, out, stderr)
	}
	b, err := os.ReadFile(l.calls)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(b)) {
		if _, call, ok := strings.Cut(line, " up "); ok {
			got = append(got, strings.TrimSpace(call))
		}
	}
	const do = "--detach --wait --no-deps --force-recreate album-store-"
	if strings.Join(got, "; ") != do+"2; "+do+"1" {
		t.Errorf("docker compose up %q, want album-store-2, then album-store-1", got)
	}
	// One that does not become healthy ends it.
	l.touch(".fail")
	out, stderr, code = l.run(t.Context(), "-port-offset", "100", "replace", "proxy-service", "album-store-1")
	if code != 1 || out != "" || !strings.Contains(stderr, "compose: proxy-service is unhealthy: see go run ./compose") || strings.HasSuffix(l.called(" up "), "album-store-1") {
		t.Errorf("%d, %q, %s", code, out, stderr)
	}
}

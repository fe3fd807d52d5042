package containers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeCompose prints the arguments after the options, and fails for a service "gone".
const fakeCompose = `#!/bin/sh
while [ "$1" != logs ] && [ "$1" != exec ]; do shift; done
case "$*" in *gone*) echo "no such service: gone" >&2; exit 1 ;; esac
echo "$*"
`

// The logs and commands of containers are those of docker compose.
func TestLogs(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "docker")
	if err := os.WriteFile(program, []byte(fakeCompose), 0o755); err != nil {
		t.Fatal(err)
	}
	l := New("/r", "/r/.lab", Options{Images: Official})
	l.Docker = []string{program, "compose"}
	since := time.Date(2026, 1, 31, 12, 0, 0, 5e8, time.FixedZone("", 3600))
	logs, err := l.Logs(t.Context(), since, "album-store-1", "album-store-2")
	if want := "logs --no-log-prefix --no-color --since 2026-01-31T11:00:00.5Z album-store-1 album-store-2\n"; err != nil || len(logs) != 1 || string(logs[0]) != want {
		t.Errorf("%q, %v, want %q", logs, err, want)
	}
	out, err := l.Exec(t.Context(), "otel-collector", "/tools/labtool", "ls", "/logs")
	if want := "exec -T otel-collector /tools/labtool ls /logs\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	if _, err := l.Logs(t.Context(), since, "gone"); err == nil || !strings.HasPrefix(err.Error(), "docker compose logs ") || !strings.HasSuffix(err.Error(), "exit status 1: no such service: gone") {
		t.Error(err)
	}
	if _, err := l.Exec(t.Context(), "gone", "x"); err == nil || err.Error() != "docker compose exec -T gone x: exit status 1: no such service: gone" {
		t.Error(err)
	}
}

package containers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// volumes is a docker that knows one volume's label, and the containers' folder.
const volumes = `
case "$*" in
"volume ls --filter label=com.docker.compose.project=soundcheck-7 "*) echo; cat "$WORLD/state" 2>/dev/null ;;
"volume create --label soundcheck.state="*" soundcheck-7_owner")
	[ -e "$WORLD/state" ] || echo "$4" | cut -d = -f 2 >"$WORLD/state" ;;
"volume rm --force soundcheck-7_owner") rm -f "$WORLD/state" ;;
"ps --all "*) [ ! -e "$WORLD/folder" ] || printf '1\trunning\tUp\t\tjaeger\tFalse\t%s\t\t.\n' "$(cat "$WORLD/folder")" ;;
*) echo "nobody knows $*" >&2; exit 1 ;;
esac
exit 0`

func TestOwner(t *testing.T) {
	world := t.TempDir()
	t.Setenv("WORLD", world)
	fakeDocker(t, volumes)
	l, other := newLab(t, Options{Offset: 7}), newLab(t, Options{Offset: 7})
	if err := l.CheckOwner(t.Context()); err != nil {
		t.Errorf("nobody's: %v", err)
	}
	want := fmt.Sprintf("project soundcheck-7 belongs to the lab in %s: use another -port-offset, or stop that lab and delete its data: go run ./compose -state %[1]s -port-offset 7 down -volumes", l.State)
	if err := l.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Claim(t.Context()); err != nil {
			t.Errorf("its own: %v", err)
		}
		if err := other.CheckOwner(t.Context()); err == nil || err.Error() != want {
			t.Errorf("another's: %v, want %s", err, want)
		}
		if err := other.Claim(t.Context()); err == nil || err.Error() != want { // which was slower
			t.Errorf("another's: %v, want %s", err, want)
		}
	}
	link := *l
	link.State = filepath.Join(world, "link")
	if err := os.Symlink(l.State, link.State); err != nil {
		t.Fatal(err)
	}
	if err := link.CheckOwner(t.Context()); err != nil {
		t.Errorf("the same folder by another name: %v", err)
	}
	if err := l.Disown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Claim(t.Context()); err != nil {
		t.Errorf("after Disown: %v", err)
	}
	if err := l.CheckOwner(t.Context()); err == nil || !strings.Contains(err.Error(), other.State) {
		t.Errorf("another's now: %v", err)
	}
}

// What plain docker compose has started is known by the folder of its files.
func TestOwnerOfContainers(t *testing.T) {
	world := t.TempDir()
	t.Setenv("WORLD", world)
	fakeDocker(t, volumes)
	l := newLab(t, Options{Offset: 7})
	for folder, want := range map[string]string{
		"/r/compose":         "",
		"/elsewhere/compose": "project soundcheck-7 belongs to the Compose files in /elsewhere/compose: use another -port-offset, or stop it: docker compose --project-name soundcheck-7 down",
	} {
		if err := os.WriteFile(filepath.Join(world, "folder"), []byte(folder+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := l.CheckOwner(t.Context())
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("of %s: %s, want %s", folder, got, want)
		}
	}
}

// Errors have docker's message, or report that docker is missing.
func TestOwnerUnknown(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	l := newLab(t, Options{})
	fakeDocker(t, `case "$1" in version) echo linux/amd64 ;; *) echo "a strange thing" >&2; exit 3 ;; esac`)
	if err := l.CheckOwner(t.Context()); err == nil || err.Error() != "docker volume ls: exit status 3: a strange thing" {
		t.Error(err)
	}
	fakeDocker(t, `echo 'Cannot connect to the Docker daemon. Is the docker daemon running?' >&2; exit 1`)
	if err := l.CheckOwner(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "Docker's daemon does not respond: start it") {
		t.Error(err)
	}
}

func TestRemoveStrays(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	t.Setenv("CALLS", calls)
	fakeDocker(t, `case "$1" in
ps) for c in "1 prepare False" "2 proxy-service False" "3 console False" "4 nginx False" "5 grafana" "6 console True" "7  "; do
	printf '%s\trunning\tUp\t\t%s\t%s\t\t\t.\n' $(echo "$c" | cut -d ' ' -f 1) "$(echo "$c" | cut -d ' ' -f 2)" "$(echo "$c" | cut -d ' ' -f 3)"
done ;;
*) echo "$*" >>"$CALLS" ;;
esac`)
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{}, "rm --force --volumes 3\nrm --force --volumes 4\n"},
		{Options{WithEdge: true, WithConsole: true}, ""},
		{Options{Images: Local}, "rm --force --volumes 4\n"},
	} {
		os.Remove(calls)
		var said bytes.Buffer
		if err := newLab(t, tt.o).RemoveStrays(t.Context(), &said); err != nil {
			t.Error(err)
		}
		if got, _ := os.ReadFile(calls); string(got) != tt.want || (said.Len() > 0) != (tt.want != "") {
			t.Errorf("%+v: docker %q, want %q; it said %q", tt.o, got, tt.want, &said)
		}
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		c    Container
		want string
		well bool
	}{
		{Container{Service: "jaeger", state: "running", status: "Up 2 minutes (healthy)"}, "healthy", true},
		{Container{Service: "jaeger", state: "running", status: "Up 2 seconds (health: starting)"}, "starting", false},
		{Container{Service: "jaeger", state: "running", status: "Up 2 minutes (unhealthy)"}, "unhealthy", false},
		{Container{Service: "jaeger", state: "running", status: "Up 2 minutes"}, "running", true},
		{Container{Service: "jaeger", state: "paused", status: "Up 2 minutes (Paused)"}, "paused", false},
		{Container{Service: "jaeger", state: "created", status: "Created"}, "created", false},
		{Container{Service: "jaeger", state: "restarting", status: "Restarting (1) 5 seconds ago"}, "restarting", false},
		{Container{Service: "jaeger", state: "exited", status: "Exited (137) 3 seconds ago"}, "exited with 137", false},
		{Container{Service: Prepare, state: "exited", status: "Exited (0) 3 seconds ago"}, "exited with 0", true},
		{Container{Service: Prepare, state: "exited", status: "Exited (1) 3 seconds ago"}, "exited with 1", false},
		{Container{Service: Prepare, state: "running", status: "Up 1 second"}, "running", true},
	} {
		if got, well := tt.c.Condition(), tt.c.Well(); got != tt.want || well != tt.well {
			t.Errorf("%+v: %s, well %t, want %s, %t", tt.c, got, well, tt.want, tt.well)
		}
	}
}

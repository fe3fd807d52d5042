package containers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func newLab(t *testing.T, o Options) *Lab {
	t.Helper()
	if o.Images == "" {
		o.Images = Official
	}
	l := New("/r", t.TempDir(), o)
	l.Docker = []string{"docker", "compose"}
	return l
}

// Docker knows what a lab was started with: the newest of its containers counts.
func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		about      string
		containers string // service and files
		want       Options
		files      string
	}{
		{"full", "proxy-service /r/compose/compose.yaml", Options{Images: Official}, "/r/compose/compose.yaml"},
		{"plain docker compose, with a file of the user's", "nginx /r/compose/compose.yaml,/r/mine.yaml\nproxy-service /r/compose/compose.yaml,/r/mine.yaml",
			Options{Images: Official, WithEdge: true}, "/r/compose/compose.yaml /r/mine.yaml"},
		{"local", "console /r/compose/compose.yaml,/r/compose/local.yaml", Options{Images: Local, WithConsole: true}, "/r/compose/compose.yaml /r/compose/local.yaml"},
		{"limited, after full", "proxy-service /r/compose/compose.yaml,/r/compose/limited.yaml\njaeger /r/compose/compose.yaml",
			Options{Images: Official, Limited: true}, "/r/compose/compose.yaml /r/compose/limited.yaml"},
		{"only store, local", "postgres /r/compose/store.yaml,/r/compose/store-local.yaml", Options{Images: Local, OnlyStore: true}, "/r/compose/store.yaml /r/compose/store-local.yaml"},
	} {
		t.Run(tt.about, func(t *testing.T) {
			name := "soundcheck-7"
			if tt.want.Offset = 7; tt.want.OnlyStore {
				name = "soundcheck-store-7"
			}
			fakeDocker(t, `case "$*" in
"ps --all --filter label=com.docker.compose.project=`+name+` "*)
	printf '`+tt.containers+`\n' | while read -r service files; do printf "1\trunning\tUp\t\t$service\tFalse\t/r/compose\t$files\t.\n"; done ;;
"compose version"*) echo v5.5.0 ;;
esac`)
			l, err := Open(t.Context(), "/r", "/s", 7, tt.want.OnlyStore, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if l.Options != tt.want || strings.Join(l.Files, " ") != tt.files || l.State != "/s" || len(l.Docker) != 2 {
				t.Errorf("%+v, want %+v of %s", l, tt.want, tt.files)
			}
			// Find needs no Compose plugin.
			if found, err := Find(t.Context(), "/r", "/s", 7, tt.want.OnlyStore); err != nil || found.Options != tt.want || found.Docker != nil {
				t.Errorf("found %+v, %v, want %+v", found, err, tt.want)
			}
			if _, err := Open(t.Context(), "/r", "/s", 8, tt.want.OnlyStore, func(string) {}); err != ErrNone {
				t.Errorf("at another offset: %v, want %v", err, ErrNone)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	for _, name := range selecting {
		t.Setenv(name, "another")
	}
	t.Setenv("COMPOSE_PROGRESS", "plain") // is the user's
	t.Setenv("PROXY_PORT", "1")
	for _, tt := range []struct {
		o    Options
		args string
		env  []string
	}{
		{Options{}, "--project-name soundcheck --project-directory /r/compose --file /r/compose/compose.yaml ps", []string{"PROXY_PORT=9070", "GRAFANA_PORT=3000"}},
		{Options{Images: Local, Offset: 100, WithEdge: true, WithConsole: true},
			"--project-name soundcheck-100 --project-directory /r/compose --file /r/compose/compose.yaml --file /r/compose/local.yaml --profile console --profile edge ps",
			[]string{"PROXY_PORT=9170", "JAEGER_API_PORT=16797"}},
		{Options{Images: Local, Limited: true, Offset: 1},
			"--project-name soundcheck-1 --project-directory /r/compose --file /r/compose/compose.yaml --file /r/compose/local.yaml --file /r/compose/limited.yaml ps",
			[]string{"STORE_URL=http://host.docker.internal:9081"}},
		{Options{Images: Local, OnlyStore: true, Offset: 1},
			"--project-name soundcheck-store-1 --project-directory /r/compose --file /r/compose/store.yaml --file /r/compose/store-local.yaml ps",
			[]string{"STORE_PORT=9081", "OTLP_URL=http://host.docker.internal:4319"}},
	} {
		l := newLab(t, tt.o)
		cmd := l.Command(t.Context(), "ps")
		if got := strings.Join(cmd.Args[2:], " "); got != tt.args {
			t.Errorf("%+v: docker compose\n%s, want\n%s", tt.o, got, tt.args)
		}
		for _, want := range append(tt.env, "RUNS="+filepath.Join(l.State, "runs")) {
			name, _, _ := strings.Cut(want, "=")
			of := slices.DeleteFunc(slices.Clone(cmd.Env), func(kv string) bool { return !strings.HasPrefix(kv, name+"=") })
			if !slices.Equal(of, []string{want}) {
				t.Errorf("%+v: %s is %q, want %q", tt.o, name, of, want)
			}
		}
		of := slices.DeleteFunc(slices.Clone(cmd.Env), func(kv string) bool { return !strings.HasPrefix(kv, "COMPOSE_") })
		if !slices.Equal(of, []string{"COMPOSE_PROGRESS=plain"}) {
			t.Errorf("%+v: of Compose's variables there are %q, want what chooses no other lab", tt.o, of)
		}
	}
}

// The user's variables set external URLs; the offset sets our ports.
func TestOwnVariables(t *testing.T) {
	for _, kv := range []string{"STORE_URL=http://elsewhere:1", "OTLP_URL=http://elsewhere:2", "RUNS=/runs", "CPUS=1"} {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
		for _, o := range []Options{{Limited: true}, {OnlyStore: true, Offset: 1}} {
			env := newLab(t, o).Command(t.Context(), "ps").Env
			of := slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.HasPrefix(kv, name+"=") })
			if !slices.Equal(of, []string{kv}) {
				t.Errorf("%+v: %s is %q, want %q", o, name, of, kv)
			}
		}
	}
}

// Versions come from git when images are built, unless the user sets them. Other commands
// leave them to compose/.env.
func TestVersions(t *testing.T) {
	for _, name := range []string{"VERSION", "REVISION"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	versions := func(l *Lab) []string {
		return slices.DeleteFunc(l.Command(t.Context(), "build").Env, func(kv string) bool {
			return !strings.HasPrefix(kv, "VERSION=") && !strings.HasPrefix(kv, "REVISION=")
		})
	}
	passed, built := newLab(t, Options{}), newLab(t, Options{})
	built.Version, built.Revision = "v1", "abc"
	if got := versions(passed); len(got) > 0 {
		t.Errorf("without versions: %q, want none", got)
	}
	if got, want := versions(built), []string{"REVISION=abc", "VERSION=v1"}; !slices.Equal(got, want) {
		t.Errorf("from git: %q, want %q", got, want)
	}
	t.Setenv("VERSION", "v2")
	if got, want := versions(passed), []string{"VERSION=v2"}; !slices.Equal(got, want) {
		t.Errorf("the user's: %q, want %q", got, want)
	}
	if got, want := versions(built), []string{"VERSION=v2", "REVISION=abc"}; !slices.Equal(got, want) {
		t.Errorf("the user's and git's: %q, want %q", got, want)
	}
}

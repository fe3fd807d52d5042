package project

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func newProject(t *testing.T, o Options) *Project {
	t.Helper()
	if o.Images == "" {
		o.Images = Official
	}
	return &Project{Root: "/r", State: t.TempDir(), Docker: []string{"docker", "compose"}, Options: o}
}

func TestSaveAndOpen(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{}, {Offset: 100, Images: Local}, {WithEdge: true, WithConsole: true}, {Limited: true}, {OnlyStore: true, Offset: 7},
	} {
		p := newProject(t, o)
		find := Open
		if o.OnlyStore {
			find = OpenStore
		}
		if _, err := find(p.Root, p.State, o.Offset); !errors.Is(err, ErrNone) {
			t.Errorf("before the first start: %v, want %v", err, ErrNone)
		}
		if err := p.Save(); err != nil {
			t.Fatal(err)
		}
		got, err := find(p.Root, p.State, o.Offset)
		if err != nil {
			t.Fatal(err)
		}
		if got.Options != p.Options || !slices.Equal(got.Docker, p.Docker) || got.Root != p.Root || got.State != p.State {
			t.Errorf("%+v was saved, %+v was read", p, got)
		}
		if _, err := find(p.Root, p.State, o.Offset+1); !errors.Is(err, ErrNone) {
			t.Errorf("with another offset: %v, want %v", err, ErrNone)
		}
		for range 2 {
			if err := p.Forget(); err != nil {
				t.Error(err)
			}
		}
		if _, err := find(p.Root, p.State, o.Offset); !errors.Is(err, ErrNone) {
			t.Errorf("after Forget: %v, want %v", err, ErrNone)
		}
	}
}

func TestOpenWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"port_offset":100}`, `{"images":"local"}`} {
		p := newProject(t, Options{})
		if err := os.MkdirAll(p.Dir(), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir(), fileName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(p.Root, p.State, 0); err == nil || !strings.Contains(err.Error(), "anew with go run ./compose up") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCommand(t *testing.T) {
	for _, name := range chooses {
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
		p := newProject(t, tt.o)
		cmd := p.Command(t.Context(), "ps")
		if got := strings.Join(cmd.Args[2:], " "); got != tt.args {
			t.Errorf("%+v: docker compose\n%s, want\n%s", tt.o, got, tt.args)
		}
		for _, want := range append(tt.env, "RUNS="+filepath.Join(p.State, "runs")) {
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
		p := newProject(t, tt.o)
		var got []string
		for _, url := range []string{p.Proxy(), p.Store(), p.Prometheus(), p.Jaeger(), p.OTLP(), p.Console(), p.Grafana(), p.Edge()} {
			if url == "" {
				url = "-"
			}
			got = append(got, strings.TrimPrefix(url, "http://127.0.0.1:"))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%+v: %s, want %s", tt.o, s, tt.want)
		}
		seen := map[int]string{}
		for _, port := range p.published() {
			if seen[port.base] != "" {
				t.Errorf("%+v: %s and %s have the same port", tt.o, port.use, seen[port.base])
			}
			seen[port.base] = port.use
		}
	}
}

// Where others are is the user's to say; which ports are ours, the offset's.
func TestOwnVariables(t *testing.T) {
	for _, kv := range []string{"STORE_URL=http://elsewhere:1", "OTLP_URL=http://elsewhere:2", "RUNS=/runs", "CPUS=1"} {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
		for _, o := range []Options{{Limited: true}, {OnlyStore: true, Offset: 1}} {
			env := newProject(t, o).Command(t.Context(), "ps").Env
			of := slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.HasPrefix(kv, name+"=") })
			if !slices.Equal(of, []string{kv}) {
				t.Errorf("%+v: %s is %q, want %q", o, name, of, kv)
			}
		}
	}
}

package project

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"soundcheck/lab/build"
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
		for _, want := range append(tt.env, "SECRETS="+filepath.Join(p.State, "compose/secrets")) {
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

func TestSecrets(t *testing.T) {
	t.Parallel()
	p := newProject(t, Options{})
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(p.Secrets(), name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if err := p.MakeSecrets(t.Context()); err != nil {
		t.Fatal(err)
	}
	password := read(passwordFile)
	if len(password) < 20 || strings.TrimSpace(password) != password {
		t.Errorf("password %q is too short, or has space around it", password)
	}
	if got, want := read(pgpassFile), "*:*:albums:albums:"+password+"\n"; got != want {
		t.Errorf("pgpass %q, want %q", got, want)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700 | os.ModeDir, passwordFile: 0o444, pgpassFile: 0o444} {
		if info, err := os.Stat(filepath.Join(p.Secrets(), name)); err != nil || info.Mode() != mode {
			t.Errorf("%q has mode %v, want %v: %v", name, info.Mode(), mode, err)
		}
	}
	if err := p.MakeSecrets(t.Context()); err != nil || read(passwordFile) != password {
		t.Errorf("the second time there is another password: %v", err)
	}
	// One's own.
	if err := writeSecret(filepath.Join(p.Secrets(), passwordFile), "a:b\\c\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.MakeSecrets(t.Context()); err != nil || read(pgpassFile) != "*:*:albums:albums:a\\:b\\\\c\n" {
		t.Errorf("pgpass of one's own password: %q, %v", read(pgpassFile), err)
	}
	if err := writeSecret(filepath.Join(p.Secrets(), passwordFile), "\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.MakeSecrets(t.Context()); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty password: %v", err)
	}
}

// Labs that share a folder and start at once have one password, and its pgpass.
func TestSecretsAtOnce(t *testing.T) {
	t.Parallel()
	p := newProject(t, Options{})
	if err := os.MkdirAll(filepath.Dir(p.Secrets()), 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := build.Lock(t.Context(), p.Secrets()+".lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.MakeSecrets(ctx); err != context.Canceled { // it waits
		t.Errorf("while another lab is at it: %v, want %v", err, context.Canceled)
	}
	unlock()
	errs := make(chan error)
	const labs = 20
	for range labs {
		go func() { errs <- p.MakeSecrets(t.Context()) }()
	}
	for range labs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	password, err := os.ReadFile(filepath.Join(p.Secrets(), passwordFile))
	pgpass, err2 := os.ReadFile(filepath.Join(p.Secrets(), pgpassFile))
	if err != nil || err2 != nil || string(pgpass) != "*:*:albums:albums:"+string(password)+"\n" {
		t.Errorf("password %q, pgpass %q, %v, %v", password, pgpass, err, err2)
	}
}

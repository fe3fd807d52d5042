// Package containers describes the lab in Docker Compose: its files, names and
// ports, and how docker compose is called for it. It stores nothing: Docker
// has the state, so a lab that plain docker compose has started is found, too.
package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/internal/cli"
)

// Sources of the images.
const (
	Official = "official" // from a registry; our own services are built from source
	Local    = "local"    // all built on this machine, without a registry
)

// Options are what a lab is started with.
type Options struct {
	Images      string
	WithEdge    bool // nginx in front of the proxy
	WithConsole bool // beside Grafana; always with local images
	Limited     bool // the album store is external
	OnlyStore   bool // only the album store and its database run in containers
	Offset      int  // added to every published port
}

// Lab is a lab in containers.
type Lab struct {
	Options
	Root   string   // of the repository
	State  string   // state folder
	Files  []string // of Compose; later files override earlier ones
	Docker []string // the command docker compose, after FindCompose
	// Version and Revision of our own images, when they are built from source.
	Version, Revision string
}

// New returns the lab with these options. State is absolute.
func New(root, state string, o Options) *Lab {
	l := &Lab{Options: o, Root: root, State: state}
	names := []string{"compose.yaml"}
	switch {
	case o.OnlyStore && o.Images == Local:
		names = []string{"store.yaml", "store-local.yaml"}
	case o.OnlyStore:
		names = []string{"store.yaml"}
	case o.Images == Local:
		names = append(names, "local.yaml")
	}
	if o.Limited {
		names = append(names, "limited.yaml")
	}
	for _, name := range names {
		l.Files = append(l.Files, filepath.Join(l.folder(), name))
	}
	return l
}

// Open returns the lab that Find finds, ready for Command. Log is called when the Compose
// plugin has to be built, which takes minutes.
func Open(ctx context.Context, root, state string, offset int, onlyStore bool, log func(string)) (*Lab, error) {
	l, err := Find(ctx, root, state, offset, onlyStore)
	if err != nil {
		return nil, err
	}
	return l, l.FindCompose(ctx, log)
}

// Find returns the lab that has containers in Docker. The error is ErrNone if there are
// none, and names the other lab if they are another checkout's. Command needs FindCompose
// first.
func Find(ctx context.Context, root, state string, offset int, onlyStore bool) (*Lab, error) {
	l := New(root, state, Options{Images: Official, Offset: offset, OnlyStore: onlyStore})
	if err := l.CheckOwner(ctx); err != nil {
		return nil, err
	}
	list, err := l.Containers(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNone
	}
	// Of the newest container: older ones may be from earlier options.
	l.Files = list[0].files
	for _, file := range l.Files {
		switch filepath.Base(file) {
		case "local.yaml", "store-local.yaml":
			l.Images = Local
		case "limited.yaml":
			l.Limited = true
		}
	}
	for _, c := range list {
		l.WithEdge = l.WithEdge || c.Service == "nginx"
		l.WithConsole = l.WithConsole || c.Service == "console"
	}
	return l, nil
}

// ErrNone is returned if there is no lab.
var ErrNone = errors.New("no lab in Docker Compose: start it with go run ./compose up")

// suffix distinguishes labs.
func (l *Lab) suffix() string {
	s := ""
	if l.OnlyStore {
		s = "-store"
	}
	if l.Offset != 0 {
		s += fmt.Sprintf("-%d", l.Offset)
	}
	return s
}

// Name is that of the Compose project.
func (l *Lab) Name() string { return "soundcheck" + l.suffix() }

// Dir returns the folder of the logs of builds.
func (l *Lab) Dir() string { return filepath.Join(l.State, "compose"+l.suffix()) }

// Runs returns the folder of the load generator's reports, which the console shows.
func (l *Lab) Runs() string { return filepath.Join(l.State, "runs") }

// Flags returns the flags of go run ./compose that name this lab, with a space before each.
func (l *Lab) Flags() string {
	s := ""
	if l.State != filepath.Join(l.Root, ".lab") {
		s += " -state " + cli.Quote(l.State)
	}
	return s + l.which()
}

// which returns the flags that distinguish labs of one state folder.
func (l *Lab) which() string {
	s := ""
	if l.Offset != 0 {
		s += fmt.Sprintf(" -port-offset %d", l.Offset)
	}
	if l.OnlyStore {
		s += " -only-store"
	}
	return s
}

func (l *Lab) folder() string { return filepath.Join(l.Root, "compose") }

// Prepare is the service that exits when its work is done.
const Prepare = "prepare"

// Services returns the names of the long-running services, in start order.
func (l *Lab) Services() []string {
	if l.OnlyStore {
		return []string{"postgres", "album-store-1"}
	}
	var list []string
	if !l.Limited {
		list = append(list, "postgres", "album-store-1", "album-store-2")
	}
	list = append(list, "proxy-service", "otel-collector", "jaeger", "prometheus")
	if l.Images != Local {
		list = append(list, "loki", "grafana")
	}
	if l.WithConsole || l.Images == Local {
		list = append(list, "console")
	}
	if l.WithEdge {
		list = append(list, "nginx")
	}
	return list
}

// Command returns the command docker compose with these arguments for this lab. When ctx
// ends it gets a SIGTERM, and a SIGKILL if it does not exit.
func (l *Lab) Command(ctx context.Context, args ...string) *exec.Cmd {
	full := append(slices.Clone(l.Docker[1:]), "--project-name", l.Name(), "--project-directory", l.folder())
	for _, f := range l.Files {
		full = append(full, "--file", f)
	}
	if l.WithConsole {
		full = append(full, "--profile", "console")
	}
	if l.WithEdge {
		full = append(full, "--profile", "edge")
	}
	cmd := exec.CommandContext(ctx, l.Docker[0], append(full, args...)...)
	cmd.Env = l.environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// selecting are variables that select other files, names and profiles, and one that
// excludes --remove-orphans. Other variables of docker compose, such as COMPOSE_ANSI, are
// passed through.
var selecting = []string{"COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES",
	"COMPOSE_DISABLE_ENV_FILE", "COMPOSE_IGNORE_ORPHANS"}

// environ returns the environment of docker compose, with the variables of the Compose files.
func (l *Lab) environ() []string {
	set := map[string]string{"PORT_OFFSET": fmt.Sprint(l.Offset)}
	for _, p := range ports {
		set[p.variable] = fmt.Sprint(p.number + l.Offset)
	}
	// The user's environment wins over these.
	defaults := map[string]string{"RUNS": l.Runs(), "OTLP_URL": l.outside(otlpHTTP), "VERSION": l.Version, "REVISION": l.Revision}
	if l.Limited {
		defaults["STORE_URL"] = l.outside(store)
	}
	for name, value := range defaults {
		if os.Getenv(name) == "" && value != "" { // or an empty value would override compose/.env
			set[name] = value
		}
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, ours := set[name]
		return ours || slices.Contains(selecting, name)
	})
	for _, name := range slices.Sorted(maps.Keys(set)) {
		env = append(env, name+"="+set[name])
	}
	return env
}

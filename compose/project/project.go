// Package project knows the lab that runs in Docker Compose: what it was started with,
// where it is, and how docker compose is asked about it. It keeps nothing itself but a file,
// so that the lab is Compose's like any other: docker compose can be used beside it.
package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Images that a lab can be made of.
const (
	Official = "official" // from a registry; our own programs are built from source
	Local    = "local"    // all built on this machine, without a registry
)

// Options are what a lab is started with.
type Options struct {
	Images      string `json:"images"`
	WithEdge    bool   `json:"edge,omitempty"`    // nginx in front of the proxy
	WithConsole bool   `json:"console,omitempty"` // beside Grafana; with local images always
	Limited     bool   `json:"limited,omitempty"` // the album store runs outside
	// OnlyStore is the other way round: all but the album store and its database run outside.
	OnlyStore bool `json:"only_store,omitempty"`
	Offset    int  `json:"port_offset"` // added to every published port
}

// Project is a lab.
type Project struct {
	Options
	Root   string   `json:"-"` // of the repository
	State  string   `json:"-"` // folder of what all labs of a repository keep
	Docker []string `json:"docker_compose"`
	// Version and Revision of our own images, when they are built from source.
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
}

// ErrNone says that no lab was started.
var ErrNone = errors.New("no Compose lab was started: start it with go run ./compose up")

// fileName is of what is known of a lab, in its folder.
const fileName = "lab.json"

// Open returns the lab that was started last. State is the folder of the labs' state,
// .lab. The error is ErrNone if there is none.
func Open(root, state string, offset int) (*Project, error) {
	return open(root, state, Options{Offset: offset})
}

// OpenStore is Open for what was started with OnlyStore.
func OpenStore(root, state string, offset int) (*Project, error) {
	return open(root, state, Options{Offset: offset, OnlyStore: true})
}

func open(root, state string, o Options) (*Project, error) {
	p := &Project{Root: root, State: state, Options: o}
	path := filepath.Join(p.Dir(), fileName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s: %w: start the lab anew with go run ./compose up", path, err)
	}
	if p.Offset != o.Offset || p.OnlyStore != o.OnlyStore || len(p.Docker) == 0 {
		return nil, fmt.Errorf("%s is of another lab: start this one anew with go run ./compose up", path)
	}
	return p, nil
}

// Save writes down what the lab is started with, whole or not at all.
func (p *Project) Save() error {
	if err := os.MkdirAll(p.Dir(), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(p.Dir(), fileName)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Forget removes what Save wrote.
func (p *Project) Forget() error {
	err := os.Remove(filepath.Join(p.Dir(), fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// suffix tells labs apart.
func (p *Project) suffix() string {
	s := ""
	if p.OnlyStore {
		s = "-store"
	}
	if p.Offset != 0 {
		s += fmt.Sprintf("-%d", p.Offset)
	}
	return s
}

// Name is that of the Compose project.
func (p *Project) Name() string { return "soundcheck" + p.suffix() }

// Dir returns the folder of what is kept of this lab.
func (p *Project) Dir() string { return filepath.Join(p.State, "compose"+p.suffix()) }

// Runs returns the folder of the load generator's reports, which the console shows.
func (p *Project) Runs() string { return filepath.Join(p.State, "runs") }

func (p *Project) file(name string) string { return filepath.Join(p.Root, "compose", name) }

// Files returns the Compose files, the later ones over the former.
func (p *Project) Files() []string {
	if p.OnlyStore {
		files := []string{p.file("store.yaml")}
		if p.Images == Local {
			files = append(files, p.file("store-local.yaml"))
		}
		return files
	}
	files := []string{p.file("compose.yaml")}
	if p.Images == Local {
		files = append(files, p.file("local.yaml"))
	}
	if p.Limited {
		files = append(files, p.file("limited.yaml"))
	}
	return files
}

// Profiles returns the names of the Compose profiles that are switched on.
func (p *Project) Profiles() []string {
	var list []string
	if p.WithConsole {
		list = append(list, "console")
	}
	if p.WithEdge {
		list = append(list, "edge")
	}
	return list
}

// Command returns the command docker compose with these arguments for this lab. When ctx
// ends it is interrupted as by Ctrl-C, and killed if that does not end it.
func (p *Project) Command(ctx context.Context, args ...string) *exec.Cmd {
	full := append(slices.Clone(p.Docker[1:]), "--project-name", p.Name(), "--project-directory", filepath.Join(p.Root, "compose"))
	for _, f := range p.Files() {
		full = append(full, "--file", f)
	}
	for _, name := range p.Profiles() {
		full = append(full, "--profile", name)
	}
	cmd := exec.CommandContext(ctx, p.Docker[0], append(full, args...)...)
	cmd.Env = p.environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// chooses are variables that would choose other files, names and profiles, and one that
// --remove-orphans does not go with. What else docker compose reads, such as COMPOSE_ANSI,
// is the user's.
var chooses = []string{"COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES",
	"COMPOSE_DISABLE_ENV_FILE", "COMPOSE_IGNORE_ORPHANS"}

// usersOwn are variables that the user's environment sets rather than we: where a store or
// a Collector outside is, and where reports are. Ports are not: they follow the offset.
var usersOwn = []string{"STORE_URL", "OTLP_URL", "RUNS"}

// environ returns the environment of docker compose: what the Compose files ask for.
func (p *Project) environ() []string {
	set := map[string]string{
		"RUNS": p.Runs(), "PORT_OFFSET": fmt.Sprint(p.Offset), "VERSION": p.Version, "REVISION": p.Revision,
		"OTLP_URL": fmt.Sprintf("http://host.docker.internal:%d", otlpHTTP.base+p.Offset),
	}
	for _, port := range allPorts {
		set[port.variable] = fmt.Sprint(port.base + p.Offset)
	}
	if p.Limited {
		set["STORE_URL"] = fmt.Sprintf("http://host.docker.internal:%d", p.OutsideStore())
	}
	for _, name := range usersOwn {
		if os.Getenv(name) != "" {
			delete(set, name)
		}
	}
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if _, ours := set[name]; !ours && !slices.Contains(chooses, name) {
			env = append(env, kv)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		env = append(env, name+"="+set[name])
	}
	return env
}

// Prepare is the service that ends once its work is done.
const Prepare = "prepare"

// Services returns the names of the services that run on, the way they come up.
func (p *Project) Services() []string {
	if p.OnlyStore {
		return []string{"postgres", "album-store-1"}
	}
	var list []string
	if !p.Limited {
		list = append(list, "postgres", "album-store-1", "album-store-2")
	}
	list = append(list, "proxy-service", "otel-collector", "jaeger", "prometheus")
	if p.Images != Local {
		list = append(list, "loki", "grafana")
	}
	if p.WithConsole || p.Images == Local {
		list = append(list, "console")
	}
	if p.WithEdge {
		list = append(list, "nginx")
	}
	return list
}

package containers

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Container is one of the lab's, without those of docker compose run.
type Container struct {
	Service string
	id      string
	state   string   // running, exited, restarting …
	status  string   // Up 2 minutes (healthy)
	ports   string   // published now: 127.0.0.1:9070->9070/tcp
	folder  string   // of the Compose files
	files   []string // of Compose that it was made from
}

// columns of docker ps, with Compose's labels.
var columns = strings.Join([]string{"{{.ID}}", "{{.State}}", "{{.Status}}", "{{.Ports}}",
	label("service"), label("oneoff"), label("project.working_dir"), label("project.config_files"), "."}, "\t")

func label(name string) string { return `{{.Label "com.docker.compose.` + name + `"}}` }

func (l *Lab) filter() string { return "label=com.docker.compose.project=" + l.Name() }

// Containers returns the containers of this name, the newest first.
func (l *Lab) Containers(ctx context.Context) ([]Container, error) {
	lines, err := docker(ctx, "ps", "--all", "--filter", l.filter(), "--format", columns)
	if err != nil {
		return nil, err
	}
	var list []Container
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 9 || f[4] == "" || strings.EqualFold(f[5], "true") {
			continue
		}
		list = append(list, Container{f[4], f[0], f[1], f[2], f[3], f[6], strings.Split(f[7], ",")})
	}
	return list, nil
}

var (
	exited = regexp.MustCompile(`^Exited \((\d+)\)`)
	health = regexp.MustCompile(`\((?:health: )?(\w+)\)$`)
)

// Condition is the health of a running container, its exit code, or its state.
func (c *Container) Condition() string {
	if m := exited.FindStringSubmatch(c.status); m != nil {
		return "exited with " + m[1]
	}
	if m := health.FindStringSubmatch(c.status); m != nil && c.state == "running" {
		return m[1]
	}
	return c.state
}

// Well reports whether a container is in the state it has when the lab is up.
func (c *Container) Well() bool {
	switch condition := c.Condition(); {
	case c.Service == Prepare:
		return c.state != "exited" || condition == "exited with 0"
	default:
		return condition == "healthy" || condition == "running" // without a health check
	}
}

// Sort sorts containers in the order of the services.
func (l *Lab) Sort(list []Container) {
	order := l.Services()
	slices.SortFunc(list, func(a, b Container) int {
		return cmp.Compare(slices.Index(order, a.Service), slices.Index(order, b.Service))
	})
}

// stateLabel is the label of an empty volume. Its value is the state folder of the lab that owns the project.
// Compose names containers and volumes after the project alone, and so would let another
// checkout, or another -state, take them over and delete them. The other volumes have no
// such label: Compose offers to delete volumes whose labels differ from
// those in its files.
const stateLabel = "soundcheck.state"

// owner is the name of that volume. Compose treats it as one of the project's.
func (l *Lab) owner() string { return l.Name() + "_owner" }

// CheckOwner returns an error that names another lab's folder if containers or volumes of
// this name belong to that lab. A project that plain docker compose has started from the files of
// this repository has no owner.
func (l *Lab) CheckOwner(ctx context.Context) error {
	states, err := docker(ctx, "volume", "ls", "--filter", l.filter(), "--format", `{{.Label "`+stateLabel+`"}}`)
	if err != nil {
		return err
	}
	for _, state := range states {
		switch {
		case state == "": // of any other volume
		case sameFolder(state, l.State):
			return nil
		default:
			return fmt.Errorf("project %s belongs to the lab in %s: use another -port-offset, or stop that lab and delete its data: go run ./compose -state %[2]s%s down -volumes",
				l.Name(), state, l.which())
		}
	}
	list, err := l.Containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.folder != "" && !sameFolder(c.folder, l.folder()) {
			return fmt.Errorf("project %s belongs to the Compose files in %s: use another -port-offset, or stop it: docker compose --project-name %[1]s down", l.Name(), c.folder)
		}
	}
	return nil
}

// Claim makes this lab the owner of its project. The error is that of
// CheckOwner if another lab was faster.
func (l *Lab) Claim(ctx context.Context) error {
	// The labels of an existing volume do not change.
	_, err := docker(ctx, "volume", "create", "--label", stateLabel+"="+l.State,
		"--label", "com.docker.compose.project="+l.Name(), "--label", "com.docker.compose.volume=owner", l.owner())
	if err != nil {
		return err
	}
	return l.CheckOwner(ctx)
}

// Disown releases the project after its volumes are deleted.
func (l *Lab) Disown(ctx context.Context) error {
	_, err := docker(ctx, "volume", "rm", "--force", l.owner())
	return err
}

func sameFolder(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// RemoveStrays removes the containers of disabled profiles: docker compose removes
// services that are no longer in its files, but not these.
func (l *Lab) RemoveStrays(ctx context.Context, w io.Writer) error {
	list, err := l.Containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if profile := c.Service == "nginx" || c.Service == "console"; !profile || slices.Contains(l.Services(), c.Service) {
			continue
		}
		fmt.Fprintf(w, "removing %s: its profile is off\n", c.Service)
		if _, err := docker(ctx, "rm", "--force", "--volumes", c.id); err != nil {
			return err
		}
	}
	return nil
}

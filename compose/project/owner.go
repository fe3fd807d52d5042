package project

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Labels that Compose gives to what it makes.
const (
	projectLabel = "com.docker.compose.project"
	folderLabel  = "com.docker.compose.project.working_dir"
	serviceLabel = "com.docker.compose.service"
	volumeLabel  = "com.docker.compose.volume"
	oneOffLabel  = "com.docker.compose.oneoff"
)

// stateLabel is of the volume that says whose lab it is: the folder of its state. Compose
// names containers and volumes after the project alone, and so would let another
// repository, or another -state, take them over and delete them. The volume is empty. The
// other volumes have no such label, because Compose offers to delete the data of those
// whose labels are not the ones in the files.
const stateLabel = "soundcheck.state"

// owner is the name of that volume. Compose takes it for one of the project's.
func (p *Project) owner() string { return p.Name() + "_owner" }

func (p *Project) filter() string { return "label=" + projectLabel + "=" + p.Name() }

// CheckOwner returns an error that names another lab's folder, if containers or volumes of
// this name are that lab's. What docker compose has started by itself, from the files of
// this repository, is everybody's.
func (p *Project) CheckOwner(ctx context.Context) error {
	lines, err := docker(ctx, "volume", "ls", "--filter", p.filter(), "--format", `{{.Label "`+stateLabel+`"}}`)
	if err != nil {
		return err
	}
	for _, state := range lines {
		switch {
		case state == "": // of any other volume
		case sameFolder(state, p.State):
			return nil
		default:
			return fmt.Errorf("the containers and the data of %s are those of the lab in %s: take another -port-offset, or stop that lab and delete its data: go run ./compose -state %[2]s%s down -volumes",
				p.Name(), state, p.Which())
		}
	}
	lines, err = docker(ctx, "ps", "--all", "--filter", p.filter(), "--format", `{{.Label "`+folderLabel+`"}}`)
	if err != nil {
		return err
	}
	for _, folder := range lines {
		if folder != "" && !sameFolder(folder, p.file("")) {
			return fmt.Errorf("the containers of %s are those of the files in %s: take another -port-offset, or stop them: docker compose --project-name %[1]s down", p.Name(), folder)
		}
	}
	return nil
}

// Which returns the flags that tell labs of the same state apart.
func (p *Project) Which() string {
	s := ""
	if p.Offset != 0 {
		s += fmt.Sprintf(" -port-offset %d", p.Offset)
	}
	if p.OnlyStore {
		s += " -only-store"
	}
	return s
}

// Claim says that the containers and volumes of this name are of this lab. The error is that
// of CheckOwner if another lab was faster.
func (p *Project) Claim(ctx context.Context) error {
	// What is there already keeps its labels.
	_, err := docker(ctx, "volume", "create", "--label", stateLabel+"="+p.State,
		"--label", projectLabel+"="+p.Name(), "--label", volumeLabel+"=owner", p.owner())
	if err != nil {
		return err
	}
	return p.CheckOwner(ctx)
}

// Disown ends Claim, once there are no volumes any more.
func (p *Project) Disown(ctx context.Context) error {
	_, err := docker(ctx, "volume", "rm", "--force", p.owner())
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

// RemoveStrays stops and removes the containers of services that the lab does not have any
// more, since it was started with other options: Compose leaves those alone that another
// profile has, and they would hold their ports. What docker says is told to w.
func (p *Project) RemoveStrays(ctx context.Context, w io.Writer) error {
	lines, err := docker(ctx, "ps", "--all", "--filter", p.filter(),
		"--format", fmt.Sprintf(`{{.ID}} {{.Label "%s"}} {{.Label "%s"}}`, serviceLabel, oneOffLabel))
	if err != nil {
		return err
	}
	var ids, names []string
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 2 || f[1] == Prepare || slices.Contains(p.Services(), f[1]) {
			continue
		}
		if len(f) == 3 && strings.EqualFold(f[2], "true") { // of docker compose run: somebody's own
			continue
		}
		ids, names = append(ids, f[0]), append(names, f[1])
	}
	if len(ids) == 0 {
		return nil
	}
	fmt.Fprintf(w, "stopping what this lab has no more: %s\n", strings.Join(names, ", "))
	for _, verb := range [][]string{{"stop"}, {"rm", "--volumes"}} { // with those that have no name
		cmd := exec.CommandContext(ctx, "docker", append(verb, ids...)...)
		cmd.Stderr = w
		cmd.WaitDelay = time.Second
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("docker %s %s: %w", verb[0], strings.Join(names, " "), err)
		}
	}
	return nil
}

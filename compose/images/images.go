// Package images prepares what docker compose builds local images from, without a registry:
// our own programs, the Collector, Jaeger and Prometheus as the native lab compiles them,
// PostgreSQL from Debian packages. Each is in a folder of its own, which local.yaml names.
package images

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/plan"
)

// Builder prepares images.
type Builder struct {
	Programs *build.Builder // its platform is the engine's
	Dir      string         // of the folders
	Progress *cli.Progress
}

// target returns the program that an image of a service holds.
func target(root, service string) (build.Target, error) {
	if service == "prepare" {
		return build.Target{Name: "labtool", Module: ".", Package: "./compose/labtool", Sources: []string{"compose/labtool", "internal/cli"}}, nil
	}
	if strings.HasPrefix(service, plan.StoreName+"-") { // the instances are of one image
		service = plan.StoreName
	}
	for _, p := range (plan.Lab{Root: root}).Programs() {
		if p.Name == service {
			return p.Target, nil
		}
	}
	return build.Target{}, fmt.Errorf("the image of %s cannot be built here", service)
}

// Prepare compiles and collects what the images of services are built from. What is up to
// date is left as it is.
func (b *Builder) Prepare(ctx context.Context, services []string) error {
	dir := filepath.Join(b.Dir, "postgres")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Labs that start at once take turns, and find what the first one has built.
	unlock, err := build.Lock(ctx, filepath.Join(b.Dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	defer b.Progress.Clear()
	if slices.Contains(services, "postgres") { // first: it fails at once, not after minutes of compiling
		if err := b.postgres(ctx, dir); err != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	for _, service := range services {
		if service == "postgres" {
			continue
		}
		t, err := target(b.Programs.Root, service)
		if err == nil {
			err = b.program(ctx, t)
		}
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	return nil
}

// program compiles a program, and links it into its image's folder.
func (b *Builder) program(ctx context.Context, t build.Target) error {
	if !b.Programs.Fresh(t) {
		var p build.Progress
		err := b.await(func() error { return b.Programs.Build(ctx, t, &p) }, func() string {
			if total := p.Total.Load(); total > 0 {
				return fmt.Sprintf("building %s: %d of up to %d packages", t.Name, p.Done.Load(), total)
			}
			return fmt.Sprintf("building %s: getting its modules", t.Name)
		})
		if err != nil {
			return fmt.Errorf("%w; see %s", err, b.Programs.Log(t))
		}
	}
	program := filepath.Join(b.Dir, t.Name, "program")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return err
	}
	if err := os.Remove(program); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Link(b.Programs.Path(t), program)
}

// await does something, and shows meanwhile how far it is and how long it takes.
func (b *Builder) await(do func() error, progress func() string) error {
	b.Progress.Line(progress())
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	for begun := time.Now(); ; {
		select {
		case err := <-ended:
			return err
		case <-time.After(200 * time.Millisecond):
			b.Progress.Show(fmt.Sprintf("%s, %.0f s", progress(), time.Since(begun).Seconds()))
		}
	}
}

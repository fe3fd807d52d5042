// Package images prepares the build contexts of local images, without a registry:
// our services, the Collector, Jaeger and Prometheus as the native lab builds them,
// PostgreSQL from Debian packages. local.yaml names the folder of each.
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
	Binaries *build.Builder // for the engine's platform
	Dir      string         // parent of the build contexts
	Progress *cli.Progress
	// Alternatives, in the error if PostgreSQL's image cannot be built. Default: those of Compose.
	Alternatives string
}

// target returns the binary of a service's image.
func target(root, service string) (build.Target, error) {
	if service == "prepare" {
		return build.Target{Name: "labtool", Module: ".", Package: "./compose/labtool", Sources: []string{"compose/labtool", "internal/cli", "internal/smoke", "internal/version"}}, nil
	}
	if service == "loadgen" { // not in Compose, where it runs on this machine
		return build.Target{Name: "loadgen", Module: ".", Package: "./loadgen", Sources: []string{"loadgen", "internal", "deploy/charts", "lab/command", "lab/kube", "lab/proc"}}, nil
	}
	if strings.HasPrefix(service, plan.StoreName) { // all instances use one image, with every database
		return plan.FullStore(), nil
	}
	for _, p := range (plan.Lab{Root: root}).Components() {
		if p.Name == service {
			return p.Target, nil
		}
	}
	return build.Target{}, fmt.Errorf("cannot build the image of %s here", service)
}

// Prepare builds the inputs of services' images, and PostgreSQL's image. It reuses what is up to
// date.
func (b *Builder) Prepare(ctx context.Context, services []string) error {
	return b.prepare(ctx, services, b.postgresImage)
}

// prepare builds the inputs of services' images. Postgres is called with the folder of that image.
func (b *Builder) prepare(ctx context.Context, services []string, postgres func(context.Context, string) error) error {
	dir := filepath.Join(b.Dir, "postgres")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Labs that start at the same time build one after the other, and reuse what the first one built.
	unlock, err := build.Lock(ctx, filepath.Join(b.Dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	defer b.Progress.Clear()
	if slices.Contains(services, "postgres") { // first: it fails fast, not after minutes of compiling
		if err := postgres(ctx, dir); err != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	for _, service := range services {
		if service == "postgres" {
			continue
		}
		t, err := target(b.Binaries.Root, service)
		if err == nil {
			err = b.program(ctx, t)
		}
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	return nil
}

// program builds a binary and links it into its image's build context.
func (b *Builder) program(ctx context.Context, t build.Target) error {
	if !b.Binaries.Fresh(t) {
		var p build.Progress
		err := b.await(func() error { return b.Binaries.Build(ctx, t, &p) }, func() string {
			if total := p.Total.Load(); total > 0 {
				return fmt.Sprintf("building %s: %d of %d packages", t.Name, p.Done.Load(), total)
			}
			return fmt.Sprintf("building %s: downloading modules", t.Name)
		})
		if err != nil {
			return fmt.Errorf("%w; see %s", err, b.Binaries.Log(t))
		}
	}
	program := filepath.Join(b.Dir, t.Name, "program")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return err
	}
	if err := os.Remove(program); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Link(b.Binaries.Path(t), program)
}

// await calls do, and shows progress and elapsed time meanwhile.
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

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"soundcheck/compose/images"
	"soundcheck/internal/cli"
	"soundcheck/lab/containers"
)

// replace replaces containers by new ones from the current sources, one after the
// other, each when the previous one is healthy.
func (c *command) replace(ctx context.Context) error {
	f := newFlags("compose replace [flags] SERVICE ...", "Rebuild what changed, then replace services one by one, each when the previous one is healthy.")
	if err := f.Parse(c.args, c.getenv, c.stdout); err != nil {
		return err
	}
	l, err := c.open(ctx, f)
	if err != nil {
		return err
	}
	if f.NArg() == 0 {
		return f.Errorf("name a service: one or more of %s", strings.Join(l.Services(), ", "))
	}
	for _, name := range f.Args() {
		if !slices.Contains(l.Services(), name) {
			return f.Errorf("no service %q in this lab: one or more of %s", name, strings.Join(l.Services(), ", "))
		}
	}
	if err := c.images(ctx, l, f.Args()); err != nil {
		return err
	}
	for _, name := range f.Args() {
		if err := c.create(ctx, l, "--no-deps", "--force-recreate", name); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "replaced %s\n", name)
	}
	return nil
}

// label sets the version and revision of images that are built now.
func label(ctx context.Context, l *containers.Lab) {
	l.Version, l.Revision = git(ctx, l.Root, "describe", "--always", "--dirty"), git(ctx, l.Root, "rev-parse", "HEAD")
}

// images builds the local images of services: their binaries here, then docker compose builds
// the images. docker compose up builds or pulls official ones.
func (c *command) images(ctx context.Context, l *containers.Lab, services []string) error {
	label(ctx, l)
	if l.Images != containers.Local {
		return nil
	}
	platform, err := containers.FindEngine(ctx)
	if err != nil {
		return err
	}
	b := &images.Builder{Binaries: l.Binaries(), Dir: filepath.Join(l.Root, ".lab", "compose", "images"), Progress: cli.NewProgress(c.stderr)}
	b.Binaries.Platform = platform
	if err := b.Prepare(ctx, services); err != nil {
		return err
	}
	build := []string{"build", "--quiet"}
	for _, name := range services {
		if name == "album-store-2" { // shares the image of the first
			name = "album-store-1"
		}
		if name != "postgres" && !slices.Contains(build, name) {
			build = append(build, name)
		}
	}
	if len(build) == 2 {
		return nil
	}
	return c.compose(ctx, l, build...)
}

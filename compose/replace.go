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

// replace replaces containers by new ones, made of what the sources are now: one after the
// other, each when the one before is healthy.
func (c *command) replace(ctx context.Context) error {
	f := newFlags("compose replace [flags] SERVICE ...", "Builds what has changed, then replaces one service after the other: each when the one before is healthy.")
	if err := f.Parse(c.args, c.getenv, c.stdout); err != nil {
		return err
	}
	l, err := c.open(ctx, f)
	if err != nil {
		return err
	}
	if f.NArg() == 0 {
		return f.Errorf("which service? one or more of %s", strings.Join(l.Services(), ", "))
	}
	for _, name := range f.Args() {
		if !slices.Contains(l.Services(), name) {
			return f.Errorf("this lab has no service %q: one or more of %s", name, strings.Join(l.Services(), ", "))
		}
	}
	if err := c.images(ctx, l, f.Args()); err != nil {
		return err
	}
	for _, name := range f.Args() {
		if err := c.create(ctx, l, "--no-deps", "--force-recreate", name); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "%s is replaced\n", name)
	}
	return nil
}

// images prepares the images of services: docker compose builds or pulls them.
func (c *command) images(ctx context.Context, l *containers.Lab, services []string) error {
	l.Version, l.Revision = git(ctx, l.Root, "describe", "--always", "--dirty"), git(ctx, l.Root, "rev-parse", "HEAD")
	if l.Images != containers.Local {
		return nil
	}
	platform, err := containers.FindEngine(ctx)
	if err != nil {
		return err
	}
	b := &images.Builder{Programs: l.Programs(), Dir: filepath.Join(l.Root, ".lab", "compose", "images"), Progress: cli.NewProgress(c.stderr)}
	b.Programs.Platform = platform
	return b.Prepare(ctx, services)
}

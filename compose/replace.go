package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"soundcheck/compose/images"
	"soundcheck/compose/project"
	"soundcheck/internal/cli"
)

// replace puts new containers, of what the sources are now, in the place of those that run:
// one after the other, each when the one before is healthy.
func replace(ctx context.Context, w which, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("compose replace [flags] SERVICE ...", "Builds what has changed, then replaces one service after the other: each when the one before is healthy.")
	services, err := f.parseNames(w, args, getenv, stdout)
	if err != nil {
		return err
	}
	p, err := f.open(ctx, stderr)
	if err != nil {
		return err
	}
	if len(services) == 0 {
		return f.Errorf("which service? one or more of %s", strings.Join(p.Services(), ", "))
	}
	for _, name := range services {
		if !slices.Contains(p.Services(), name) {
			return f.Errorf("this lab has no service %q: one or more of %s", name, strings.Join(p.Services(), ", "))
		}
	}
	p.Version, p.Revision = revision(ctx, p.Root)
	if p.Images == project.Local {
		engine, err := project.FindEngine(ctx)
		if err != nil {
			return err
		}
		if err := buildLocal(ctx, p, engine, services, cli.NewProgress(stderr)); err != nil {
			return err
		}
	}
	// Known from now on, by whoever asks for the lab's images.
	if err := p.Save(); err != nil {
		return err
	}
	for _, name := range services {
		do := []string{"up", "--detach", "--no-deps", "--force-recreate", "--wait"}
		if p.Images == project.Official {
			do = append(do, "--build")
		}
		if err := compose(ctx, p, stderr, append(do, name)...); err != nil {
			if ctx.Err() != nil {
				return err
			}
			return because(ctx, p, err)
		}
		fmt.Fprintf(stdout, "%s is replaced\n", name)
	}
	return nil
}

// buildLocal builds the images of these services that are not up to date.
func buildLocal(ctx context.Context, p *project.Project, engine project.Engine, services []string, bar *cli.Progress) error {
	b := &images.Builder{Programs: programs(p.Root, p.Dir()), Dir: filepath.Join(p.Root, ".lab", "compose", "images"),
		Version: p.Version, Revision: p.Revision, Progress: bar}
	b.Programs.Platform = engine.Platform
	return b.Build(ctx, imagesOf(services))
}

// imagesOf returns the names of the images of services.
func imagesOf(services []string) []string {
	var list []string
	for _, name := range services {
		if strings.HasPrefix(name, "album-store-") { // the instances are of one image
			name = "album-store"
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

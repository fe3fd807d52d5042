package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"soundcheck/deploy/oci"
	"soundcheck/internal/cli"

	"soundcheck/deploy/cluster"
)

// up checks everything that can be checked before it changes anything.
func (c *command) up(ctx context.Context) error {
	f := c.newFlags("deploy up [flags] [-- FLAGS OF HELM UPGRADE]", "Build and push the images, install or upgrade the chart, wait until every pod is ready.")
	var i imageFlags
	c.addImageFlags(f, &i)
	var files, sets cli.Values
	f.Var(&files, "values", "values `file` of the chart, can be repeated")
	f.Var(&sets, "set", "`NAME=VALUE` of the chart, can be repeated")
	timeout := f.Duration("timeout", 5*time.Minute, "timeout until every pod is ready (10s to 1h)")
	published := f.Bool("published", false, "the components' ports are published on localhost, as by deploy/k3d/cluster.yaml")
	extra, err := c.parse(f, true)
	if err != nil {
		return err
	}
	extraValues, err := valuesOf(f, extra)
	if err != nil {
		return err
	}
	if err := i.check(f); err != nil {
		return err
	}
	if *timeout < 10*time.Second || *timeout > time.Hour {
		return f.Errorf("-timeout %s is out of range: 10s to 1h", *timeout)
	}
	for _, name := range files.List {
		if _, err := os.Stat(name); err != nil {
			return f.Errorf("-values: %v", err)
		}
	}
	if err := f.r.Connect(ctx); err != nil {
		return err
	}
	if err := i.find(ctx, f); err != nil {
		return err
	}
	args := func(tags map[string]string) ([]string, error) {
		file, err := i.write(f, tags)
		list := []string{"--values", file} // first: the user's values win
		for _, name := range files.List {
			list = append(list, "--values", name)
		}
		for _, set := range sets.List {
			list = append(list, "--set", set)
		}
		return list, err
	}
	rough, err := args(nil)
	if err != nil {
		return err
	}
	rendered, err := f.r.Render(ctx, append(rough, extraValues...))
	if err != nil {
		return err
	}
	problems := errors.Join(f.r.Check(ctx, rendered), c.checkImages(ctx, f, &i, rendered))
	if problems == nil && !strings.Contains(strings.Join(append(extraValues, sets.List...), " "), "database.kind=memory") {
		problems = f.r.CheckDatabase(ctx, rendered)
	}
	if problems != nil {
		return problems
	}
	var tags map[string]string
	if i.source != fromNowhere {
		if tags, err = c.build(ctx, f, &i, i.needed(rendered)); err != nil {
			return err
		}
	}
	final, err := args(tags)
	if err != nil {
		return err
	}
	f.r.Progress.Line(fmt.Sprintf("installing release %s in namespace %s of context %s", f.r.Name, f.r.Namespace, f.r.Context))
	if err := f.r.Upgrade(ctx, append(final, extra...), *timeout, c.stderr); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(c.stderr, "interrupted; a part of the release may be running: continue with go run ./deploy up, or remove it with go run ./deploy down%s\n", f.selected())
			return cli.WithCode(130, cli.ErrSaid)
		}
		return err
	}
	return c.show(ctx, f, *published)
}

// checkImages checks that the registry has what it should have already, and that it responds.
func (c *command) checkImages(ctx context.Context, f *flags, i *imageFlags, rendered *cluster.Rendered) error {
	if i.load != "" {
		return nil
	}
	registry := oci.Registry{Host: i.registry, PlainHTTP: i.plainHTTP}
	var problems []error
	for _, ref := range rendered.Images() {
		name, tag, ok := ourImage(ref, i.pull)
		if !ok {
			continue
		}
		have, err := registry.Has(ctx, name, tag)
		if err != nil {
			return err // of the registry, the same for the next image
		}
		if !have && i.source == fromNowhere {
			problems = append(problems, fmt.Errorf("registry %s has no image %s:%s: push it (go run ./deploy push -registry %[1]s), set -tag, or use -images registry", i.registry, name, tag))
		}
	}
	return errors.Join(problems...)
}

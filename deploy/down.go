package main

import (
	"context"
	"fmt"
	"strings"
)

// down uninstalls the release.
func (c *command) down(ctx context.Context) error {
	f := c.newFlags("deploy down [flags]", "Uninstall the chart. Volumes and passwords stay.")
	volumes := f.Bool("volumes", false, "also delete data: albums, traces, metrics, logs, and the database's password")
	if _, err := c.parse(f, false); err != nil {
		return err
	}
	if err := f.r.Connect(ctx); err != nil {
		return err
	}
	if err := f.r.FindNames(ctx); err != nil {
		return err
	}
	was, err := f.r.Uninstall(ctx)
	if err != nil {
		return err
	}
	if err := f.r.DeleteLeftOvers(ctx); err != nil {
		return err
	}
	if err := f.r.AwaitEnd(ctx); err != nil {
		return err
	}
	if was {
		fmt.Fprintf(c.stdout, "uninstalled release %s from namespace %s of context %s\n", f.r.Name, f.r.Namespace, f.r.Context)
	} else {
		fmt.Fprintf(c.stdout, "no release %s in namespace %s of context %s\n", f.r.Name, f.r.Namespace, f.r.Context)
	}
	kept, err := f.r.Kept(ctx)
	if err != nil || len(kept) == 0 {
		return err
	}
	if !*volumes {
		fmt.Fprintf(c.stdout, "kept: %s\ndelete that data with go run ./deploy down -volumes%s\n", strings.Join(kept, ", "), f.selected())
		return nil
	}
	if err := f.r.Delete(ctx, kept); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "deleted %s\n", strings.Join(kept, ", "))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/containers"
)

// upFlags are those of up.
type upFlags struct {
	*flags
	o       containers.Options
	fresh   bool
	timeout time.Duration
}

func newUpFlags(getenv func(string) string) *upFlags {
	f := &upFlags{flags: newFlags("compose up [flags]", "Build what is missing, start the lab, wait until every service is healthy.")}
	source := getenv("IMAGES")
	if source == "" {
		source = containers.Official
	}
	f.StringVar(&f.o.Images, "images", source, "image `source`: official (from a registry) or local (all built here); or set IMAGES")
	f.BoolVar(&f.o.WithEdge, "edge", false, "put nginx in front of the proxy")
	f.BoolVar(&f.o.WithConsole, "console", false, "start the console beside Grafana (always with local images)")
	f.BoolVar(&f.o.Limited, "limited", false, "start no album store and database: use an external store on port 9080")
	f.BoolVar(&f.fresh, "fresh", false, "start empty: delete albums, traces, metrics and logs first")
	f.DurationVar(&f.timeout, "timeout", 5*time.Minute, "timeout until every service is healthy (10s to 1h)")
	return f
}

// check rejects flags that exclude each other.
func (f *upFlags) check() error {
	o := &f.o
	o.Offset, o.OnlyStore = f.offset, f.onlyStore
	switch {
	case o.Images != containers.Official && o.Images != containers.Local:
		return f.Errorf("-images %q is not official or local", o.Images)
	case f.timeout < 10*time.Second || f.timeout > time.Hour:
		return f.Errorf("-timeout %s is out of range: 10s to 1h", f.timeout)
	case o.WithEdge && o.Images == containers.Local:
		return f.Errorf("-edge needs nginx's image from a registry: remove -images local")
	case o.OnlyStore && (o.Limited || o.WithEdge || o.WithConsole):
		return f.Errorf("-only-store excludes -limited, -edge and -console")
	}
	return nil
}

func (c *command) up(ctx context.Context) error {
	f := newUpFlags(c.getenv)
	if err := c.parse(f.Flags); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	root, state, err := f.folders()
	if err != nil {
		return err
	}
	l := containers.New(root, state, f.o)
	if err := l.CheckOwner(ctx); err != nil {
		return err
	}
	if err := l.FindCompose(ctx, cli.NewProgress(c.stderr).Line); err != nil {
		return err
	}
	if err := l.CheckPorts(ctx); err != nil {
		return err
	}
	for _, dir := range []string{l.Dir(), l.Runs()} { // or Docker would create the second one as root
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := c.images(ctx, l, append(l.Services(), containers.Prepare)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // nothing has changed yet
		return err
	}
	if err := l.Claim(ctx); err != nil {
		return err
	}
	if f.fresh {
		if err := c.compose(ctx, l, "--profile", "*", "down", "--volumes", "--remove-orphans"); err != nil {
			if ctx.Err() != nil {
				fmt.Fprintf(c.stderr, "interrupted while deleting the old lab; some containers and data may remain: resume with go run ./compose%[1]s up -fresh, or delete them with go run ./compose%[1]s down -volumes\n", l.Flags())
			}
			return err
		}
	}
	return c.start(ctx, l, f.timeout)
}

// start starts the services that are not running, and waits until all are healthy.
func (c *command) start(ctx context.Context, l *containers.Lab, timeout time.Duration) error {
	err := l.RemoveStrays(ctx, c.stderr)
	if err == nil {
		err = c.create(ctx, l, "--remove-orphans", "--wait-timeout", fmt.Sprint(int(timeout.Seconds())))
	}
	if ctx.Err() != nil {
		fmt.Fprintf(c.stderr, "interrupted; some services are running: stop them with go run ./compose%s down\n", l.Flags())
		return cli.WithCode(130, cli.ErrSaid)
	}
	if err != nil {
		return err
	}
	return show(ctx, l, c.stdout)
}

// create runs docker compose up. Its error names the services that are not healthy, if they
// are known.
func (c *command) create(ctx context.Context, l *containers.Lab, args ...string) error {
	failed := c.compose(ctx, l, append([]string{"up", "--detach", "--wait"}, args...)...)
	if failed == nil || ctx.Err() != nil {
		return failed
	}
	list, err := l.Containers(ctx)
	if err != nil {
		return failed
	}
	if len(list) == 0 && l.Images == containers.Official {
		return errors.New("no container was started, see the output of docker compose above; without a registry, use -images local to build every image here")
	}
	l.Sort(list)
	var bad, names []string
	for _, one := range list {
		if !one.Well() {
			bad = append(bad, one.Service+" is "+one.Condition())
			names = append(names, one.Service)
		}
	}
	if len(bad) == 0 {
		return failed
	}
	return fmt.Errorf("%s: see go run ./compose%s logs %s", strings.Join(bad, ", "), l.Flags(), strings.Join(names, " "))
}

// git returns the output of a git command in the repository; "" if it fails.
func git(ctx context.Context, root string, args ...string) string {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

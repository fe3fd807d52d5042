package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"soundcheck/compose/project"
	"soundcheck/internal/cli"
)

// upFlags are those of up.
type upFlags struct {
	*flags
	o       project.Options
	fresh   bool
	timeout time.Duration
}

func newUpFlags(getenv func(string) string) *upFlags {
	f := &upFlags{flags: newFlags("compose up [flags]", "Builds what is missing, starts the lab, waits until all of it is healthy.")}
	source := getenv("IMAGES")
	if source == "" {
		source = project.Official
	}
	f.StringVar(&f.o.Images, "images", source, "`official` (from a registry) or local (all built here); IMAGES in the environment sets the default, too")
	f.BoolVar(&f.o.WithEdge, "edge", false, "put nginx in front of the proxy")
	f.BoolVar(&f.o.WithConsole, "console", false, "start the console beside Grafana; with local images it is always there")
	f.BoolVar(&f.o.Limited, "limited", false, "start no album store and no database: the store runs outside, on this machine's port 9080")
	f.BoolVar(&f.fresh, "fresh", false, "start empty: delete the albums, traces, metrics and logs first")
	f.DurationVar(&f.timeout, "timeout", 5*time.Minute, "give up if it is not healthy after this `long` (10s to 1h)")
	return f
}

// check looks at what excludes each other.
func (f *upFlags) check() error {
	o := &f.o
	o.Offset, o.OnlyStore = f.offset, f.onlyStore
	switch {
	case o.Images != project.Official && o.Images != project.Local:
		return f.Errorf("-images %q is not official or local", o.Images)
	case f.timeout < 10*time.Second || f.timeout > time.Hour:
		return f.Errorf("-timeout %s is out of range: 10s to 1h", f.timeout)
	case o.WithEdge && o.Images == project.Local:
		return f.Errorf("-edge needs nginx's image from a registry: not with -images local")
	case o.OnlyStore && (o.Limited || o.WithEdge || o.WithConsole):
		return f.Errorf("-only-store starts nothing but the album store and its database: not with -limited, -edge or -console")
	}
	return nil
}

func up(ctx context.Context, w which, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newUpFlags(getenv)
	if err := f.parse(w, args, getenv, stdout); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	root, state, err := f.folders()
	if err != nil {
		return err
	}
	p := &project.Project{Root: root, State: state, Options: f.o}
	bar := cli.NewProgress(stderr)
	defer bar.Clear()
	engine, err := project.FindEngine(ctx)
	if err != nil {
		return err
	}
	if err := p.CheckOwner(ctx); err != nil {
		return err
	}
	if err := findCompose(ctx, p, stderr); err != nil {
		return err
	}
	if err := p.CheckPorts(ctx); err != nil {
		return err
	}
	p.Version, p.Revision = revision(ctx, root)
	if err := os.MkdirAll(p.Runs(), 0o755); err != nil { // or the engine would make it, as root
		return err
	}
	if p.Images == project.Local {
		if err := buildLocal(ctx, p, engine, append([]string{"labtool"}, p.Services()...), bar); err != nil {
			return err
		}
	}
	bar.Clear()
	if err := ctx.Err(); err != nil { // the lab is as it was
		return err
	}
	if err := p.Claim(ctx); err != nil {
		return err
	}
	// Before it starts, so that what an interrupt leaves behind can be shown and stopped.
	if err := p.Save(); err != nil {
		return err
	}
	if f.fresh {
		if err := compose(ctx, p, stderr, "--profile", "*", "down", "--volumes", "--remove-orphans"); err != nil {
			if ctx.Err() != nil {
				fmt.Fprintf(stderr, "interrupted while the old lab was deleted; containers and data may be left: go run ./compose%[1]s up -fresh goes on, go run ./compose%[1]s down -volumes deletes the rest\n", flagsOf(p))
			}
			return err
		}
	}
	return start(ctx, p, f.timeout, stdout, stderr)
}

// start starts what is not running, and waits until all is healthy.
func start(ctx context.Context, p *project.Project, timeout time.Duration, stdout, stderr io.Writer) error {
	args := []string{"up", "--detach", "--remove-orphans", "--wait", "--wait-timeout", fmt.Sprint(int(timeout.Seconds()))}
	if p.Images == project.Official {
		args = append(args, "--build")
	}
	err := p.RemoveStrays(ctx, stderr)
	if err == nil {
		if err = compose(ctx, p, stderr, args...); err != nil && ctx.Err() == nil {
			return because(ctx, p, err)
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintf(stderr, "interrupted; what was started runs on: go run ./compose%s down stops it\n", flagsOf(p))
		return cli.WithCode(130, cli.ErrSaid)
	}
	if err != nil {
		return err
	}
	return show(ctx, p, stdout)
}

// compose runs docker compose. What it says is progress.
func compose(ctx context.Context, p *project.Project, stderr io.Writer, args ...string) error {
	cmd := p.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	return exitCode(ctx, cmd.Run())
}

// because says of a start that failed which services are not well, if it can be known.
func because(ctx context.Context, p *project.Project, failed error) error {
	list, err := containers(ctx, p)
	if err != nil {
		return failed
	}
	var bad, names []string
	for _, c := range list {
		if !c.well() {
			bad = append(bad, c.Service+" is "+c.condition())
			names = append(names, c.Service)
		}
	}
	switch {
	case len(list) == 0 && p.Images == project.Official:
		return errors.New("nothing was started, docker compose says above why; where a registry cannot be reached, -images local builds every image here")
	case len(bad) == 0:
		return failed
	}
	return fmt.Errorf("%s: see go run ./compose%s logs %s", strings.Join(bad, ", "), flagsOf(p), strings.Join(names, " "))
}

// revision returns what the sources are called and their commit, if git knows.
func revision(ctx context.Context, root string) (version, commit string) {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	return git("describe", "--always", "--dirty"), git("rev-parse", "HEAD")
}

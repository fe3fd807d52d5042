// Compose starts, shows and stops the lab in Docker Compose. Plain docker compose can, too:
//
//	docker compose -f compose/compose.yaml up --detach --wait
//
// This program adds images built without a registry, a build of the Compose plugin if it is
// missing, a check that two checkouts do not share a project, and errors that name the fix.
//
//	go run ./compose up                 # images from a registry, our own built from source
//	go run ./compose up -images local   # every image built here, without a registry
//	go run ./compose up -limited        # external album store, for example in a debugger
//	go run ./compose up -only-store     # only the album store, for lab up -store
//	go run ./compose ps                 # any command of docker compose, on this lab
//	go run ./compose logs -f proxy-service
//	go run ./compose replace album-store-1 album-store-2   # rolling update from the current sources
//	go run ./compose down               # data stays; -volumes deletes it
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/containers"
	"soundcheck/lab/plan"
)

const usage = `usage: compose [flags] up [flags]
       compose [flags] down [flags]
       compose [flags] replace [flags] SERVICE ...
       compose [flags] COMMAND ...

commands:
  up        build what is missing, start the lab, show its addresses
  down      stop the lab, remove its containers; data stays
  replace   rebuild what changed, replace services one by one
  COMMAND   any command of docker compose: ps, logs, exec, restart, kill, stats …

"compose up -h" shows the flags; -state, -port-offset and -only-store select the
lab, and go before COMMAND.
`

func main() { cli.Main("compose", run) }

// command is an invocation of this program.
type command struct {
	args           []string // of up, down and replace: flags before and after the command
	getenv         func(string) string
	stdout, stderr io.Writer
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help") {
		_, err := io.WriteString(stdout, usage)
		return err
	}
	f := newFlags("compose [flags] COMMAND ...", "")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return cli.Usage("which command?", usage)
	}
	before := args[: len(args)-f.NArg() : len(args)-f.NArg()]
	c := &command{append(before, f.Args()[1:]...), getenv, stdout, stderr}
	var err error
	switch f.Arg(0) {
	case "up":
		err = c.up(ctx)
	case "down":
		err = c.down(ctx)
	case "replace":
		err = c.replace(ctx)
	default:
		err = c.pass(ctx, f)
	}
	if errors.Is(err, context.Canceled) { // before the call of docker compose
		return cli.WithCode(130, errors.New("interrupted"))
	}
	return err
}

// flags select a lab.
type flags struct {
	*cli.Flags
	state     string
	offset    int
	onlyStore bool
}

func newFlags(usage, about string) *flags {
	f := &flags{Flags: cli.NewFlags(usage, "SOUNDCHECK_COMPOSE", about)}
	f.StringVar(&f.state, "state", "", "state `folder` (default .lab in the repository)")
	f.IntVar(&f.offset, "port-offset", 0, fmt.Sprintf("`number` added to every published port (0 to %d); each offset is another lab", plan.MaxOffset))
	f.BoolVar(&f.onlyStore, "only-store", false, "only album store and database, for a native lab (lab up -store URL)")
	return f
}

// folders returns the repository and the folder of the state, absolute.
func (f *flags) folders() (root, state string, err error) {
	if f.offset < 0 || f.offset > plan.MaxOffset {
		return "", "", f.Errorf("-port-offset %d is out of range: 0 to %d", f.offset, plan.MaxOffset)
	}
	if root, err = build.Repository(); err != nil {
		return "", "", err
	}
	if f.state == "" {
		return root, filepath.Join(root, ".lab"), nil
	}
	state, err = filepath.Abs(f.state)
	return root, state, err
}

// parse reads the flags of a command that takes no arguments.
func (c *command) parse(f *cli.Flags) error {
	if err := f.Parse(c.args, c.getenv, c.stdout); err != nil {
		return err
	}
	return f.NoArgs()
}

// open returns the lab, running or stopped.
func (c *command) open(ctx context.Context, f *flags) (*containers.Lab, error) {
	root, state, err := f.folders()
	if err != nil {
		return nil, err
	}
	return containers.Open(ctx, root, state, f.offset, f.onlyStore, cli.NewProgress(c.stderr).Line)
}

// pass runs a command of docker compose.
func (c *command) pass(ctx context.Context, f *flags) error {
	l, err := c.open(ctx, f)
	if err != nil {
		return err
	}
	label(ctx, l) // build, create and run may build images
	cmd := l.Command(ctx, f.Args()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, c.stdout, c.stderr
	return exitCode(ctx, cmd.Run())
}

// compose runs docker compose. Its output is progress.
func (c *command) compose(ctx context.Context, l *containers.Lab, args ...string) error {
	cmd := l.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	return exitCode(ctx, cmd.Run())
}

// exitCode returns docker compose's exit code as an error; docker compose has printed the message.
func exitCode(ctx context.Context, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return cli.WithCode(130, cli.ErrSaid)
	case errors.As(err, &exit):
		return cli.WithCode(max(1, exit.ExitCode()), cli.ErrSaid)
	}
	return fmt.Errorf("docker compose: %w", err)
}

// down needs no containers: volumes can exist without them.
func (c *command) down(ctx context.Context) error {
	f := newFlags("compose down [flags]", "Stop the lab and remove its containers.")
	volumes := f.Bool("volumes", false, "also delete data: albums, traces, metrics, logs")
	if err := c.parse(f.Flags); err != nil {
		return err
	}
	root, state, err := f.folders()
	if err != nil {
		return err
	}
	l := containers.New(root, state, containers.Options{Images: containers.Official, Offset: f.offset, OnlyStore: f.onlyStore})
	if err := l.CheckOwner(ctx); err != nil {
		return err
	}
	if err := l.FindCompose(ctx, cli.NewProgress(c.stderr).Line); err != nil {
		return err
	}
	if !*volumes {
		return c.compose(ctx, l, "--profile", "*", "down", "--remove-orphans")
	}
	if err := c.compose(ctx, l, "--profile", "*", "down", "--remove-orphans", "--volumes"); err != nil {
		return err
	}
	return l.Disown(ctx)
}

// Compose starts, shows and stops the lab in Docker Compose: the album stores with
// PostgreSQL, the proxy, the Collector, Jaeger, Prometheus, Loki and Grafana.
//
//	go run ./compose up                 # images from a registry, our own built from source
//	go run ./compose up -images local   # every image built here, without a registry
//	go run ./compose up -limited        # the album store runs outside, in a debugger say
//	go run ./compose up -only-store     # the other way round, for lab up -store
//	go run ./compose ps                 # whatever docker compose can do, on this lab
//	go run ./compose logs -f proxy-service
//	go run ./compose exec postgres psql -U albums
//	go run ./compose replace album-store-1 album-store-2   # by what the sources are now
//	go run ./compose down               # the data stays; with -volumes it does not
//
// It builds what is missing, and hands docker compose the right files:
// the lab is an ordinary Compose project, and needs this program no more once it is up.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"soundcheck/compose/project"
	"soundcheck/internal/cli"
	"soundcheck/lab/build"
)

const usage = `usage: compose [flags] up [flags]
       compose [flags] down [flags]
       compose [flags] replace [flags] SERVICE ...
       compose [flags] COMMAND ...

commands:
  up        build what is missing, start the lab, say where to look
  down      stop it and remove the containers; the data stays
  replace   build what has changed, replace one service after the other
  COMMAND   of docker compose, on this lab: ps, logs, exec, restart, kill, stats …

"compose up -h" shows the flags; -state, -port-offset and -only-store say which lab is
meant, and stand before a COMMAND.
`

func main() { cli.Main("compose", run) }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("compose [flags] COMMAND ...", "")
	switch {
	case len(args) == 0:
		return cli.Usage("which command?", usage)
	case args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return cli.Usage("which command?", usage)
	}
	var err error
	switch args := f.Args()[1:]; f.Arg(0) {
	case "up":
		err = up(ctx, f.which, args, getenv, stdout, stderr)
	case "down":
		err = down(ctx, f.which, args, getenv, stdout, stderr)
	case "replace":
		err = replace(ctx, f.which, args, getenv, stdout, stderr)
	default:
		err = pass(ctx, f, stdout, stderr)
	}
	if errors.Is(err, context.Canceled) { // before docker compose was called
		return cli.WithCode(130, errors.New("interrupted"))
	}
	return err
}

// which lab is meant.
type which struct {
	state     string
	offset    int
	onlyStore bool
}

type flags struct {
	*cli.Flags
	which
}

// newFlags returns the flags that say which lab is meant.
func newFlags(usage, about string) *flags {
	f := &flags{Flags: cli.NewFlags(usage, "SOUNDCHECK_COMPOSE", about)}
	f.StringVar(&f.state, "state", "", "`folder` of the labs' state and programs (default .lab in the repository)")
	f.IntVar(&f.offset, "port-offset", 0, fmt.Sprintf("add this `number` to every published port (0 to %d): another lab", project.MaxOffset))
	f.BoolVar(&f.onlyStore, "only-store", false, "only the album store and its database, for the native lab: lab up -store URL")
	return f
}

// folders returns the repository and the folder of the state, absolute.
func (f *flags) folders() (root, state string, err error) {
	if f.offset < 0 || f.offset > project.MaxOffset {
		return "", "", f.Errorf("-port-offset %d is out of range: 0 to %d", f.offset, project.MaxOffset)
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

// open returns the lab that was started last, if what runs under its name is that lab.
func (f *flags) open(ctx context.Context, stderr io.Writer) (*project.Project, error) {
	root, state, err := f.folders()
	if err != nil {
		return nil, err
	}
	find := project.Open
	if f.onlyStore {
		find = project.OpenStore
	}
	p, err := find(root, state, f.offset)
	if err != nil {
		return nil, err
	}
	if err := p.CheckOwner(ctx); err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.Docker[0]); filepath.IsAbs(p.Docker[0]) && err != nil { // it was built, and deleted since
		return p, findCompose(ctx, p, stderr)
	}
	return p, nil
}

// findCompose looks for docker compose, and builds it if need be.
func findCompose(ctx context.Context, p *project.Project, stderr io.Writer) (err error) {
	if err := os.MkdirAll(p.Dir(), 0o755); err != nil { // for the log of the build
		return err
	}
	p.Docker, err = project.FindCompose(ctx, programs(p.Root, p.Dir()), cli.NewProgress(stderr).Line)
	return err
}

// pass hands a command to docker compose.
func pass(ctx context.Context, f *flags, stdout, stderr io.Writer) error {
	p, err := f.open(ctx, stderr)
	if err != nil {
		return err
	}
	cmd := p.Command(ctx, f.Args()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	return exitCode(ctx, cmd.Run())
}

// exitCode makes docker compose's exit code ours; it has said what is wrong.
func exitCode(ctx context.Context, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return cli.WithCode(130, cli.ErrSaid) // as of what is interrupted
	case errors.As(err, &exit):
		return cli.WithCode(max(1, exit.ExitCode()), cli.ErrSaid)
	}
	return fmt.Errorf("docker compose: %w", err)
}

func down(ctx context.Context, w which, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("compose down [flags]", "Stops the lab and removes its containers.")
	volumes := f.Bool("volumes", false, "delete the data, too: albums, traces, metrics, logs")
	if err := f.parse(w, args, getenv, stdout); err != nil {
		return err
	}
	p, err := f.open(ctx, stderr)
	if err != nil { // what there is of it can be stopped all the same
		p, err = f.unknown(ctx, stderr)
	}
	if err != nil {
		return err
	}
	// Whatever profiles it was started with.
	what := []string{"--profile", "*", "down", "--remove-orphans"}
	if *volumes {
		what = append(what, "--volumes")
	}
	cmd := p.Command(ctx, what...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := exitCode(ctx, cmd.Run()); err != nil {
		return err
	}
	if *volumes {
		if err := p.Disown(ctx); err != nil {
			return err
		}
	}
	return p.Forget()
}

// unknown is open for a lab of which nothing is known, or nothing that can be read.
func (f *flags) unknown(ctx context.Context, stderr io.Writer) (*project.Project, error) {
	root, state, err := f.folders()
	if err != nil {
		return nil, err
	}
	p := &project.Project{Root: root, State: state, Options: project.Options{Images: project.Official, Offset: f.offset, OnlyStore: f.onlyStore}}
	if _, err := project.FindEngine(ctx); err != nil {
		return nil, err
	}
	if err := p.CheckOwner(ctx); err != nil {
		return nil, err
	}
	return p, findCompose(ctx, p, stderr)
}

// parse reads the flags of a command that takes no arguments. Those that stood before it
// hold, unless they are said again.
func (f *flags) parse(w which, args []string, getenv func(string) string, stdout io.Writer) error {
	if _, err := f.parseNames(w, args, getenv, stdout); err != nil {
		return err
	}
	return f.NoArgs()
}

// parseNames is parse of a command that takes arguments, and returns them.
func (f *flags) parseNames(w which, args []string, getenv func(string) string, stdout io.Writer) ([]string, error) {
	f.which = w
	before := func(name string) string {
		if strings.HasPrefix(name, "SOUNDCHECK_COMPOSE_") {
			switch strings.TrimPrefix(name, "SOUNDCHECK_COMPOSE_") {
			case "STATE", "PORT_OFFSET", "ONLY_STORE":
				return "" // w has it
			}
		}
		return getenv(name)
	}
	if err := f.Parse(args, before, stdout); err != nil {
		return nil, err
	}
	return f.Args(), nil
}

// programs returns the builder of programs for this machine. All labs of a repository
// share them.
func programs(root, logs string) *build.Builder {
	return &build.Builder{Root: root, Bin: filepath.Join(root, ".lab", "bin"), Logs: logs}
}

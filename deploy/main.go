// Deploy installs, shows and removes the lab in Kubernetes, with kubectl and helm. Plain helm can,
// too:
//
//	helm upgrade --install soundcheck deploy/charts/soundcheck --namespace soundcheck --create-namespace --wait --set images.registry=HOST:PORT
//
// This program adds images built and pushed without a container engine, checks of the cluster
// before anything is changed, and errors that name the fix.
//
//	go run ./deploy up                            # k3d, MicroK8s: the cluster's own registry
//	go run ./deploy up -registry HOST:PORT        # any registry that the nodes can reach
//	go run ./deploy up -images local -load 'kind load image-archive {}'   # no registry at all
//	go run ./deploy up -values deploy/k3d/values.yaml -set store.replicas=2
//	go run ./deploy status
//	go run ./deploy down                          # data stays; -volumes deletes it
//	go run ./deploy gke up                        # a cluster on Google Cloud, with the lab: docs/gke.md
//	go run ./deploy eks up                        # the same on AWS: docs/eks.md
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"

	"soundcheck/deploy/cluster"
	"soundcheck/internal/cli"
	"soundcheck/lab/build"
)

const usage = `usage: deploy up [flags] [-- FLAGS OF HELM UPGRADE]
       deploy push [flags]
       deploy status [flags]
       deploy down [flags]
       deploy gke|eks up|down [flags]

commands:
  up       build and push the images, install or upgrade the chart, wait until
           it is ready, show its addresses
  push     build and push the images only
  status   show the components
  down     uninstall the chart; data stays
  gke, eks create or delete a cluster in a cloud, with the lab

"deploy up -h" shows the flags.
`

func main() { cli.Main("deploy", run) }

// command is an invocation of this program.
type command struct {
	args           []string
	getenv         func(string) string
	stdout, stderr io.Writer
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return cli.Usage("which command?", usage)
	}
	c := &command{args[1:], getenv, stdout, stderr}
	var err error
	switch args[0] {
	case "-h", "-help", "--help", "help":
		_, err = io.WriteString(stdout, usage)
	case "up":
		err = c.up(ctx)
	case "push":
		err = c.push(ctx)
	case "status":
		err = c.status(ctx)
	case "down":
		err = c.down(ctx)
	case "gke", "eks":
		err = c.cloud(ctx, args[0])
	default:
		return cli.Usage(fmt.Sprintf("unknown command %q", args[0]), usage)
	}
	if errors.Is(err, context.Canceled) {
		return cli.WithCode(130, errors.New("interrupted"))
	}
	return err
}

// flags select a release.
type flags struct {
	*cli.Flags
	r     cluster.Release
	root  string // of the repository
	state string // folder of image archives and generated values
}

func (c *command) newFlags(usage, about string) *flags {
	f := &flags{Flags: cli.NewFlags(usage, "SOUNDCHECK_DEPLOY", about)}
	f.StringVar(&f.r.Context, "context", "", "kubectl `context` (default: the current one)")
	f.StringVar(&f.r.Namespace, "namespace", "soundcheck", "`namespace` of the release")
	f.StringVar(&f.r.Name, "release", "soundcheck", "`name` of the Helm release")
	f.StringVar(&f.state, "state", "", "state `folder` (default .lab in the repository)")
	f.r.Progress = cli.NewProgress(c.stderr)
	return f
}

// label is a DNS label, as names of namespaces and of releases must be.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// parse reads the flags of a command. Arguments after -- are for helm, where it takes them.
func (c *command) parse(f *flags, helm bool) (helmArgs []string, err error) {
	if err := f.Parse(c.args, c.getenv, c.stdout); err != nil {
		return nil, err
	}
	helmArgs = f.Args()
	if n := len(c.args) - len(helmArgs); len(helmArgs) > 0 && (!helm || n == 0 || c.args[n-1] != "--") {
		return nil, f.NoArgs()
	}
	switch {
	case !label.MatchString(f.r.Namespace) || len(f.r.Namespace) > 63:
		return nil, f.Errorf("-namespace %q is not a name of a namespace: lower-case letters, digits and -", f.r.Namespace)
	case !label.MatchString(f.r.Name) || len(f.r.Name) > 53:
		return nil, f.Errorf("-release %q is not a name of a release: at most 53 lower-case letters, digits and -", f.r.Name)
	}
	if f.root, err = build.Repository(); err != nil {
		return nil, err
	}
	if f.state == "" {
		f.state = filepath.Join(f.root, ".lab")
	}
	if f.state, err = filepath.Abs(f.state); err != nil {
		return nil, err
	}
	f.state = filepath.Join(f.state, "k8s")
	f.r.Chart = filepath.Join(f.root, "deploy", "charts", "soundcheck")
	return helmArgs, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"soundcheck/deploy/cloud"
	"soundcheck/internal/cli"
)

const cloudUsage = `usage: deploy gke up|down [flags]
       deploy eks up|down [flags]

commands:
  up       create the cluster, push the images, install the chart; shows each
           plan and asks
  down     uninstall the chart, delete its data, then the cluster

"deploy gke up -h" shows the flags.
`

// cloud creates or deletes the lab in a cloud.
func (c *command) cloud(ctx context.Context, name string) error {
	if len(c.args) == 0 {
		return cli.Usage("up or down?", cloudUsage)
	}
	verb, about := c.args[0], ""
	switch verb {
	case "-h", "-help", "--help", "help":
		_, err := c.stdout.Write([]byte(cloudUsage))
		return err
	case "up":
		about = "Create the cluster of deploy/terraform/" + name + ", push the images, install the chart. Shows each plan and asks."
	case "down":
		about = "Uninstall the chart, delete its data, then everything of deploy/terraform/" + name + ". Shows each plan and asks."
	default:
		return cli.Usage("unknown command \""+verb+"\"", cloudUsage)
	}
	c.args = c.args[1:]
	f := &flags{Flags: cli.NewFlags("deploy "+name+" "+verb+" [flags]", "SOUNDCHECK_DEPLOY", about)}
	f.r.Name, f.r.Namespace = "soundcheck", "soundcheck"
	f.r.Progress = cli.NewProgress(c.stderr)
	f.StringVar(&f.state, "state", "", "state `folder` (default .lab in the repository)")
	approve := f.Bool("approve", false, "do not ask: apply each plan as it is")
	var values cli.Values
	if verb == "up" {
		f.Var(&values, "values", "values `file` of the chart, can be repeated")
	}
	if _, err := c.parse(f, false); err != nil {
		return err
	}
	for _, file := range values.List {
		if _, err := os.Stat(file); err != nil {
			return f.Errorf("-values: %v", err)
		}
	}
	var config string // kubectl and the programs of the clouds write to the first file of a list
	if files := filepath.SplitList(c.getenv("KUBECONFIG")); len(files) > 0 {
		config = files[0]
	}
	lab := &cloud.Cloud{
		Name: name, Dir: filepath.Join(f.root, "deploy", "terraform"), Kubeconfig: config, Approve: *approve, Values: values.List,
		Release: f.r, Stdin: os.Stdin, Stdout: c.stdout, Stderr: c.stderr,
		Push: func(ctx context.Context, registry, user, password, platform string) (string, error) {
			i := imageFlags{source: fromRegistry, registry: registry, pull: registry, platform: platform, user: user, password: password}
			tags, err := c.build(ctx, f, &i, ours)
			if err != nil {
				return "", err
			}
			return i.write(f, tags)
		},
	}
	do, next := lab.Up, "continue with go run ./deploy %[1]s up, or delete it with go run ./deploy %[1]s down"
	if verb == "down" {
		do, next = lab.Down, "continue with go run ./deploy %[1]s down"
	}
	err := do(ctx)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(c.stderr, "interrupted; what exists stays and has a price: "+next+"\n", name)
		return cli.WithCode(130, cli.ErrSaid)
	}
	return err
}

// Package check tells what is wrong with the files of the Compose lab. It loads them
// as docker compose does, in every way that they are used together, and needs no Docker.
//
// It is a module of its own, so that what it takes to read such files is no part of
// the lab.
package check

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// Combination is one way to use the files.
type Combination struct {
	Name     string
	Files    []string // in compose/, later ones over earlier ones
	Profiles []string
	Services []string // that it consists of, sorted
}

var (
	backends = []string{"jaeger", "otel-collector", "prepare", "prometheus"}
	stores   = []string{"album-store-1", "album-store-2", "postgres"}
)

// Combinations are all of them.
var Combinations = []Combination{
	{"full", []string{"compose.yaml"}, nil,
		names(backends, stores, []string{"grafana", "loki", "proxy-service"})},
	{"full with edge", []string{"compose.yaml"}, []string{"edge"},
		names(backends, stores, []string{"grafana", "loki", "nginx", "proxy-service"})},
	{"full with console", []string{"compose.yaml"}, []string{"console"},
		names(backends, stores, []string{"console", "grafana", "loki", "proxy-service"})},
	{"local", []string{"compose.yaml", "local.yaml"}, nil,
		names(backends, stores, []string{"console", "proxy-service"})},
	{"limited", []string{"compose.yaml", "limited.yaml"}, nil,
		names(backends, []string{"grafana", "loki", "proxy-service"})},
	{"limited with edge and console", []string{"compose.yaml", "limited.yaml"}, []string{"edge", "console"},
		names(backends, []string{"console", "grafana", "loki", "nginx", "proxy-service"})},
	{"limited, local", []string{"compose.yaml", "local.yaml", "limited.yaml"}, nil,
		names(backends, []string{"console", "proxy-service"})},
	{"store", []string{"store.yaml"}, nil, []string{"album-store-1", "postgres", "prepare"}},
	{"store local", []string{"store.yaml", "store-local.yaml"}, nil, []string{"album-store-1", "postgres", "prepare"}},
}

func names(lists ...[]string) []string { return slices.Sorted(slices.Values(slices.Concat(lists...))) }

// Load reads the files of a combination from the folder compose of the repository at
// root. Of the environment it takes only env.
func Load(ctx context.Context, root string, c Combination, env ...string) (*types.Project, error) {
	folder := filepath.Join(root, "compose")
	var files []string
	for _, f := range c.Files {
		files = append(files, filepath.Join(folder, f))
	}
	o, err := cli.NewProjectOptions(files, cli.WithWorkingDirectory(folder), cli.WithProfiles(c.Profiles),
		cli.WithEnv(env), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	p, err := o.LoadProject(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return p, nil
}

// Rule is one thing that must hold of every combination.
type Rule struct {
	Name  string
	Check func(root string, p *types.Project) []string // what is wrong
}

// Rules are all of them.
var Rules = slices.Concat(containerRules, connectionRules, storageRules)

// Check returns what is wrong with p, whose repository is at root.
func Check(root string, p *types.Project) []string {
	var problems []string
	for _, r := range Rules {
		for _, problem := range r.Check(root, p) {
			problems = append(problems, r.Name+": "+problem)
		}
	}
	return problems
}

// each makes a rule of what must hold of every service.
func each(name string, f func(s types.ServiceConfig) string) Rule {
	return Rule{name, func(_ string, p *types.Project) []string {
		var problems []string
		for _, name := range slices.Sorted(maps.Keys(p.Services)) {
			if problem := f(p.Services[name]); problem != "" {
				problems = append(problems, name+" "+problem)
			}
		}
		return problems
	}}
}

// preparer is the one service that is root, runs once, and ends.
const preparer = "prepare"

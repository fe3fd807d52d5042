package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/kubernetes"
	"soundcheck/loadgen/options"
	"soundcheck/loadgen/remote"
	"soundcheck/loadgen/report"
)

// Environment variables of a distributed run.
const (
	minToken      = 16 // characters
	tokenVariable = prefix + "_TOKEN"
	podsVariable  = prefix + "_PODS" // NAMESPACE/JOB of the workers, in a pod of the coordinator
)

// distribution are the flags of a run on many workers, and its coordinator. Nil: one process.
type distribution struct {
	workers int
	listen  string
	token   string
	wait    time.Duration

	search  bool              // for the capacity
	k8s     *kubernetes.Flags // nil: the coordinator is this process
	args    []string          // flags of the run, for a coordinator elsewhere
	secrets map[string]string // its environment, for the others
	files   kubernetes.Files  // its files
	below   string            // path below the lab's URL, of a contract
	address string            // URL argument; "": none
	urlSet  bool
	explain bool
	jaeger  string        // "": not set
	step    time.Duration // of a search

	coordinator *cluster.Coordinator
	bar         *cli.Progress
}

func (d *distribution) define(f *cli.Flags) {
	f.IntVar(&d.workers, "workers", 0, fmt.Sprintf("number of worker `processes` (1 to %d), required", cluster.MaxWorkers))
	f.DurationVar(&d.wait, "wait", 5*time.Minute, "how long to wait for all workers (1s to 1h)")
	if d.k8s != nil {
		d.k8s.Define(f)
		return
	}
	f.StringVar(&d.listen, "listen", ":7070", "`address` for workers")
	f.StringVar(&d.token, "token", "", "`token` that workers must have (default: that of "+tokenVariable+", else a random one)")
}

func (d *distribution) apply(f *options.Flags) error {
	switch {
	case d.workers == 0:
		return f.Errorf("-workers is required: 1 to %d", cluster.MaxWorkers)
	case d.workers < 1 || d.workers > cluster.MaxWorkers:
		return f.Errorf("-workers %d is out of range: 1 to %d", d.workers, cluster.MaxWorkers)
	case d.wait < time.Second || d.wait > time.Hour:
		return f.Errorf("-wait %s is out of range: 1s to 1h", d.wait)
	}
	if c := f.Config.Contract; c != nil && c.Files > 1 {
		return f.Errorf("-openapi %s has %d files, and workers get one: bundle it into one", c.Name, c.Files)
	}
	if f.Config.Connect.Cert != "" {
		return f.Errorf("-cert: %s", d.noCert())
	}
	if d.k8s != nil {
		if f.Lookup("unix-socket").Value.String() != "" {
			return f.Errorf("-unix-socket: a socket of this machine does not reach the pods")
		}
		if err := d.k8s.Check(f.Flags); err != nil {
			return err
		}
		d.urlSet = f.Lookup("url").Value.String() != f.Lookup("url").DefValue // a URL argument and a file of targets set it too
		if !d.urlSet {
			d.below = f.Below()
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(d.listen); err != nil {
		return f.Errorf("-listen: %v", err)
	}
	return nil
}

// noCert is why workers do not get a client certificate.
func (d *distribution) noCert() string {
	if d.k8s != nil {
		return "pods get no private key of this machine"
	}
	return "the stream to the workers is not encrypted, so that they do not get a private key: set -cert and -key of each loadgen -join"
}

// forward takes the flags of the run, after all checks, for a coordinator elsewhere, with their files.
func (d *distribution) forward(f *options.Flags) error {
	if d == nil {
		return nil
	}
	if _, err := cluster.Encode(remote.Of(f.Config)); err != nil {
		return f.Errorf("%v: fewer -targets or rows of -data, or smaller files of -flow, -openapi or -body", err)
	}
	if d.k8s == nil {
		return nil
	}
	d.files = kubernetes.Files{}
	names := map[string]string{}
	for _, file := range f.Files() {
		clean := filepath.Clean(file.Path)
		if _, added := d.files[clean]; file.Inner && added { // a flow may have several names of a file
			continue
		}
		name, err := d.files.Add(file.Flag, file.Path, file.Content)
		if err != nil {
			return f.Errorf("%v", err)
		}
		if file.Inner && name != clean {
			return f.Errorf("-flow names %s, and pods have its files in one folder: put it beside the flow, with a name of letters, digits, _, - and . that begins with a letter or a digit", file.Path)
		}
		names[file.Flag] = name
	}
	if err := d.files.Check(); err != nil {
		return f.Errorf("%v", err)
	}
	d.args, d.address, d.secrets = arguments(f, names), f.PlainAddress(), map[string]string{}
	variables := prefix + "_"
	if d.search {
		variables += "CAPACITY_"
	}
	for name, value := range f.Secrets() {
		if name == "body" && names[name] != "" {
			value = "@" + names[name]
		}
		d.secrets[variables+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
	}
	return nil
}

func runCoordinate(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if getenv("GOGC") == "" { // it sends no requests, which collections would delay
		debug.SetGCPercent(cluster.GCPercent)
	}
	if len(args) > 0 && args[0] == "capacity" {
		return capacityOn(ctx, args[1:], getenv, stdout, stderr, &distribution{search: true})
	}
	return attackOn(ctx, args, getenv, stdout, stderr, &distribution{})
}

// open waits for the workers. The context that it returns ends when a watcher stops the run.
func (d *distribution) open(ctx context.Context, getenv func(string) string, bar *cli.Progress, notices []string, stderr io.Writer) (context.Context, error) {
	if d.token == "" {
		d.token = getenv(tokenVariable)
	}
	shown := "…" // who has set it knows it
	switch {
	case d.token == "":
		d.token = rand.Text()
		shown = d.token
	case len(d.token) < minToken:
		return nil, cli.Usage(fmt.Sprintf("the token has %d characters, at least %d are needed", len(d.token), minToken), "")
	}
	l, err := net.Listen("tcp", d.listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	d.bar = bar
	say(stderr, notices)
	d.coordinator = cluster.NewCoordinator(d.workers, d.token)
	d.coordinator.Log = d.line
	if name := getenv(podsVariable); name != "" {
		pods, err := kubernetes.NewPods(name, getenv)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", podsVariable, err), l.Close())
		}
		d.coordinator.Missing = pods.Missing
	}
	ctx, stop := context.WithCancel(ctx)
	d.coordinator.OnStop(stop)
	d.coordinator.Serve(l)
	bar.Clear()
	// Nobody else knows a random token, so that -quiet does not count.
	fmt.Fprintf(stderr, "listening on %s\nstart %d of:\n  %s=%s loadgen -join http://%s\n", l.Addr(), d.workers, tokenVariable, shown, cluster.Reachable(l.Addr()))
	err = d.coordinator.Wait(ctx, d.wait, func(here int) {
		d.show(fmt.Sprintf("%d of %d workers are connected", here, d.workers))
	})
	if err != nil {
		return nil, d.close(false, d.last(final{}, err))
	}
	return ctx, nil
}

// message is what watchers get: one field.
type message struct {
	Line     string           `json:"line,omitempty"`
	Show     string           `json:"show,omitempty"`
	Progress *engine.Progress `json:"progress,omitempty"`
	Final    *final           `json:"final,omitempty"`
}

// final is the outcome of the run.
type final struct {
	Report   []byte `json:"report,omitempty"` // of a run, by report.EncodePart
	Capacity []byte `json:"capacity,omitempty"`
	Error    string `json:"error,omitempty"`
	Code     int    `json:"code"`
}

// line writes a line here and at the watchers.
func (d *distribution) line(text string) {
	d.bar.Line(text)
	_ = d.coordinator.Publish(message{Line: text})
}

func (d *distribution) show(text string) {
	d.bar.Show(text)
	_ = d.coordinator.Publish(message{Show: text})
}

// run runs on all workers. It is engine.Run for many.
func (d *distribution) run(ctx context.Context, c engine.Config) (*report.Report, error) {
	return d.coordinator.Run(ctx, d.options(c))
}

func (d *distribution) options(c engine.Config) cluster.Options {
	return cluster.Options{RunID: c.RunID, Config: remote.Of(c), Extent: c.MaxExtent(), Timeout: c.Timeout, Planned: c.Plan.Planned(), RateTarget: c.Plan.Average(c.WarmUp), Users: c.Workers, Objectives: c.SLOs, EndWhen: c.EndWhen, Strict: d.search,
		Progress: func(p cluster.Progress) {
			e := engine.Progress{Starts: p.Starts, Elapsed: p.Elapsed, Duration: c.Lasts(p.Elapsed, p.Done), InFlight: p.InFlight, Users: p.Users, Done: p.Done,
				Classes: p.Classes, P99: p.P99, Last: p.Last, Slowest: fmt.Sprintf("worker %d", p.Slowest)}
			if p.Silent >= 0 {
				e.Silent = fmt.Sprintf("worker %d sends no numbers", p.Silent)
			}
			if c.Flow == nil { // else the rate is that of users
				e.RateTarget = c.Plan.Rate(p.Elapsed)
			}
			for _, n := range p.Classes {
				e.Requests += n
			}
			c.Progress(e)
		}}
}

// publish sends the progress to the watchers, too.
func (d *distribution) publish(show func(engine.Progress)) func(engine.Progress) {
	return func(p engine.Progress) {
		show(p)
		_ = d.coordinator.Publish(message{Progress: &p})
	}
}

// usage is that of the command, its description, and the usage of its capacity search.
func (d *distribution) usage() [3]string {
	switch {
	case d == nil:
		return attackUsage
	case d.k8s != nil:
		return k8sUsage
	}
	return coordinateUsage
}

// finish gives the watchers the report, and returns the error.
func (d *distribution) finish(r *report.Report, err error) error {
	var f final
	if r != nil {
		var e error
		f.Report, e = report.EncodePart(r)
		err = errors.Join(err, e)
	}
	return d.last(f, err)
}

func (d *distribution) finishCapacity(r *capacity.Result, err error) error {
	b, e := json.Marshal(r)
	return d.last(final{Capacity: b}, errors.Join(err, e))
}

func (d *distribution) last(f final, err error) error {
	if err != nil {
		f.Error, f.Code = err.Error(), cli.Code("", io.Discard, err)
	}
	return errors.Join(err, d.coordinator.Finish(message{Final: &f}))
}

// close ends the workers, with the error if there was no run.
func (d *distribution) close(done bool, err error) error {
	said := err
	if done {
		said = nil
	}
	d.coordinator.Close(said)
	return err
}

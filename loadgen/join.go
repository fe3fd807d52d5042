package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/remote"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/view"
)

// clockAhead is an error of the clock of one worker, as INDEX:DURATION. Tests set it with -ldflags -X.
var clockAhead string

// joiner sends the requests of a coordinator's tasks. It implements cluster.Runner.
type joiner struct {
	getenv func(string) string
	stderr io.Writer
	log    func(string)
	out    output          // of this worker's part
	cert   connect.Options // has the client certificate of this worker

	c    engine.Config
	t    *telemetry.Telemetry // nil: no run yet
	pool *engine.Pool
}

// How long a worker waits for its coordinator: in a Job, whose deadline counts, longer than any -wait.
const (
	joinPatience = 5 * time.Minute
	jobPatience  = time.Hour
)

// join is a worker of a distributed run.
func join(ctx context.Context, o attackOptions, getenv func(string) string, stderr io.Writer) error {
	w := cluster.Worker{URL: o.join, Token: o.token, Index: -1, Patience: joinPatience, Log: view.Bar(stderr, o.quiet).Line}
	if w.Token == "" {
		return cli.Usage("-join needs the coordinator's token: set "+tokenVariable, "")
	}
	// Kubernetes sets it in the pods of an Indexed Job.
	if text := getenv("JOB_COMPLETION_INDEX"); text != "" {
		var err error
		if w.Index, err = strconv.Atoi(text); err != nil || w.Index < 0 {
			return cli.Usage(fmt.Sprintf("JOB_COMPLETION_INDEX %q is not a number from 0", text), "")
		}
		w.Patience = jobPatience
	}
	if index, ahead, ok := strings.Cut(clockAhead, ":"); ok && index == strconv.Itoa(w.Index) {
		var err error
		if w.Ahead, err = time.ParseDuration(ahead); err != nil {
			return err
		}
	}
	j := &joiner{getenv: getenv, stderr: stderr, log: w.Log, out: output{out: o.out}, cert: o.cert}
	defer j.close(ctx)
	w.Runner = j
	return w.Join(ctx)
}

func (j *joiner) close(ctx context.Context) {
	if j.pool != nil {
		j.pool.Close()
	}
	if j.t != nil {
		j.t.Finish(ctx, j.stderr)
	}
}

// Prepare implements cluster.Runner.
func (j *joiner) Prepare(ctx context.Context, t cluster.Task) error {
	var r remote.Run
	err := cluster.Decode(t.Config, &r)
	if err != nil {
		return fmt.Errorf("the coordinator's task: %w", err)
	}
	before := j.c
	if j.c, err = r.Config(t.RunID, t.Worker, t.Workers); err != nil {
		return err
	}
	j.c.Connect.Cert, j.c.Connect.Key = j.cert.Cert, j.cert.Key
	// A search has many runs, each with its files.
	o := output{out: j.out.out}
	if o.out != "" && t.Run > 1 {
		o.out = fmt.Sprintf("%s-%d", strings.TrimSuffix(o.out, fmt.Sprintf("-%d", t.Run-1)), t.Run)
	}
	j.out = o
	if err := j.out.open(&j.c, true); err != nil {
		return err
	}
	if j.t != nil {
		j.c.MeterProvider, j.c.Propagator, j.c.TracerProvider, j.c.Pool = before.MeterProvider, before.Propagator, before.TracerProvider, j.pool
		return nil
	}
	if err := probe(ctx, j.c); err != nil {
		return err
	}
	if j.t, err = begin(ctx, &j.c, j.getenv, j.stderr); err != nil {
		return err
	}
	j.pool = engine.NewPool(j.c.MaxWorkers, j.c.Connect)
	j.c.Pool = j.pool
	return nil
}

// Run implements cluster.Runner.
func (j *joiner) Run(ctx context.Context, t cluster.Task, start time.Time, h cluster.Hooks) (*report.Report, error) {
	c := j.c
	c.StartAt, c.FirstSent, c.End = start, h.Sent, h.End
	c.Progress = func(p engine.Progress) {
		h.Live(cluster.Update{InFlight: p.InFlight, Users: p.Users, Done: p.Done, Delay: p.Last.SendDelay, Parts: p.Parts})
	}
	plan := c.Plan.String()
	if c.Workers > 0 {
		plan = fmt.Sprintf("up to %d users at once", c.Workers)
	}
	j.log(fmt.Sprintf("run %d begins in %.1f s: worker %d of 0 to %d, %s", t.Run, time.Until(start).Seconds(), t.Worker, t.Workers-1, plan))
	r, err := engine.Run(ctx, c)
	if err != nil {
		return nil, errors.Join(err, j.out.discard())
	}
	j.log(fmt.Sprintf("run %d has ended: %d requests sent in %.1f s, %d failed or shed", t.Run, r.Sent, r.Elapsed, r.Unserved()))
	return r, nil
}

// Delivered implements cluster.Runner. The files have what the coordinator has got, and the raw results.
func (j *joiner) Delivered(_ cluster.Task, r *report.Report) {
	for _, f := range j.out.kept {
		if err := f.Finish(r); err != nil {
			fmt.Fprintln(j.stderr, "-out:", err)
		}
	}
}

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/kube"
	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/kubernetes"
	"soundcheck/loadgen/options"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/view"
)

// local are the flags that are not for the coordinator, and those that it gets in its environment.
var local = []string{"H", "basic-auth", "body", "workers", "wait", "context", "namespace", "image", "values", "set", "out", "keep", "format", "quiet", "url", "jaeger", "explain"}

// arguments are the flags of the run, for the coordinator, with those that the environment sets here. What
// overrides another flag here is all that the coordinator gets. Files have other names there, by flag.
func arguments(f *options.Flags, files map[string]string) (args []string) {
	skip, c := slices.Clone(local), f.Config
	if stages := f.Lookup("stages"); stages != nil && stages.Value.String() != "" || c.Users != nil {
		skip = append(skip, "rate", "duration")
	}
	if c.Workers > 0 { // the closed model
		skip = append(skip, "rate", "arrivals", "max-workers")
	}
	if len(c.Targets) > 0 || c.Flow != nil { // those of the environment
		skip = append(skip, "mix")
	}
	if c.Flow != nil {
		skip = append(skip, "cookie-jar")
	} else {
		skip = append(skip, "users", "think")
	}
	f.VisitAll(func(fl *flag.Flag) {
		if name := files[fl.Name]; options.IsFile(fl.Name) {
			if name != "" {
				args = append(args, "-"+fl.Name+"="+name)
			}
		} else if value := fl.Value.String(); (value != fl.DefValue || f.Given(fl.Name)) && !slices.Contains(skip, fl.Name) {
			args = append(args, "-"+fl.Name+"="+value)
		}
	})
	return args
}

func runK8s(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	d := &distribution{k8s: &kubernetes.Flags{}}
	if len(args) > 0 && args[0] == "capacity" {
		d.search = true
		c, o, err := parseCapacity(args[1:], getenv, stdout, d)
		if err != nil {
			return err
		}
		say(stderr, c.Notices)
		return d.onPods(ctx, c, true, view.Bar(stderr, o.quiet), nil, func(f final, _ kubernetes.Lab) error {
			var r capacity.Result
			if json.Unmarshal(f.Capacity, &r) != nil || len(r.Steps) == 0 {
				return nil // f has the error
			}
			return writeResult(&r, o.format, stdout)
		})
	}
	c, o, err := parseAttack(args, getenv, stdout, d)
	if err != nil {
		return err
	}
	if err := o.output.openOut(&c, false); err != nil {
		return err
	}
	say(stderr, c.Notices)
	bar := view.Bar(stderr, o.quiet)
	stored := false
	err = d.onPods(ctx, c, false, bar, view.New(bar).Show, func(f final, lab kubernetes.Lab) error {
		if len(f.Report) == 0 {
			return nil // f has the error
		}
		r, err := report.DecodePart(f.Report)
		if err != nil {
			return err
		}
		if r.Traces != "" && d.jaeger == "" && lab.Traces != "" { // the cluster's name for it is unknown here
			at := fmt.Sprintf("http://127.0.0.1:%d", kubernetes.TracesPort)
			if r.Traces = at + "/trace/"; r.Console != "" {
				r.Console = at
			}
			bar.Line(fmt.Sprintf("for the traces' pages: kubectl -n %s port-forward svc/%s %d", lab.Namespace, lab.Traces, kubernetes.TracesPort))
		}
		bar.Clear()
		stored = true
		return errors.Join(o.output.openKeep(r.RunID), o.output.write(r, stdout, bar))
	})
	if !stored {
		err = errors.Join(err, o.output.discard())
	}
	return err
}

// err is the error of the coordinator, with its exit code.
func (f final) err() error {
	if f.Code == 0 {
		return nil
	}
	return cli.WithCode(f.Code, errors.New(f.Error))
}

// onPods runs or searches on the pods of a cluster. Done gets the outcome, before the pods are removed.
func (d *distribution) onPods(ctx context.Context, c engine.Config, search bool, bar *cli.Progress, show func(engine.Progress), done func(final, kubernetes.Lab) error) error {
	defer bar.Clear()
	if err := kube.Installed(); err != nil {
		return err
	}
	lab, err := d.findLab(ctx, &c, bar)
	if err != nil {
		return err
	}
	d.token = rand.Text()
	values, err := d.chartValues(c, search, lab)
	if err != nil {
		return err
	}
	var f final
	r := kubernetes.Run{Options: d.k8s.Options, Workers: d.workers, StopExtent: cluster.StopExtent(d.workers), Token: d.token, Files: d.k8s.Files.List, Sets: d.k8s.Sets.List, Line: bar.Line, Show: bar.Show}
	r.Release = "load-" + strings.ToLower(runID(time.Now()))
	r.Follow = func(b []byte) (bool, error) {
		var m message
		if err := json.Unmarshal(b, &m); err != nil {
			return false, fmt.Errorf("message of the coordinator: %w", err)
		}
		switch {
		case m.Final != nil:
			f = *m.Final
			return true, done(f, lab)
		case m.Line != "":
			bar.Line(m.Line)
		case ctx.Err() != nil: // the bar shows that the run is stopping
		case m.Progress != nil && show != nil:
			show(*m.Progress)
		case m.Show != "":
			bar.Show(m.Show)
		}
		return false, nil
	}
	err = r.Do(ctx, values)
	if ended := (*kubernetes.Ended)(nil); errors.As(err, &ended) && ended.Code > 0 && ended.Code <= codeInvalid {
		err = cli.WithCode(ended.Code, err)
	}
	return errors.Join(err, f.err())
}

// findLab finds the lab, for what is not set.
func (d *distribution) findLab(ctx context.Context, c *engine.Config, bar *cli.Progress) (lab kubernetes.Lab, err error) {
	k := d.k8s
	lab, err = kubernetes.FindLab(ctx, k.Options)
	if errors.As(err, new(kube.None)) && k.Options.Namespace != "" { // the pods may be elsewhere than the lab
		lab, err = kubernetes.FindLab(ctx, kube.Options{Context: k.Context})
	}
	if err != nil && ctx.Err() == nil && k.Image != "" && d.urlSet {
		bar.Line(fmt.Sprintf("no lab is used, so no telemetry of the workers is exported (-set otlp.endpoint=URL does): %v", err))
		lab, err = kubernetes.Lab{}, nil
	}
	if errors.As(err, new(kube.None)) {
		err = fmt.Errorf("%w\nwithout a lab in the cluster, set -image and -url", err)
	}
	if err != nil {
		return lab, err
	}
	k.Image = cmp.Or(k.Image, lab.Image)
	if !d.urlSet {
		c.URL = lab.URL
		if c.URL != "" {
			c.URL += d.below
		}
	}
	if k.Image == "" || c.URL == "" {
		return lab, errors.New("the lab in the cluster has no proxy or no image of loadgen: set -image and -url")
	}
	if k.Options.Namespace = cmp.Or(k.Options.Namespace, lab.Namespace); k.Options.Namespace == "" {
		k.Options.Namespace, err = kube.Namespace(ctx, k.Context)
	}
	return lab, err
}

// longest returns how long a run or a search can take, with the wait for its workers.
func (d *distribution) longest(c engine.Config, search bool) time.Duration {
	const margin = 10 * time.Minute // to install, to merge, and to fetch traces
	run := c.MaxExtent()
	if search {
		run = capacity.MaxSteps * (d.step + c.WarmUp + c.Timeout + time.Minute)
	}
	return d.wait + run + margin
}

// chartValues are those of the chart soundcheck-load.
func (d *distribution) chartValues(c engine.Config, search bool, lab kubernetes.Lab) ([]byte, error) {
	args := append([]string{"-wait=" + d.wait.String()}, d.args...)
	if d.address == "" && len(c.Targets) == 0 && (c.Flow == nil || c.Flow.Relative()) { // others have full URLs
		args = slices.Insert(args, 0, "-url="+c.URL)
	}
	if !search {
		switch jaeger := cmp.Or(d.jaeger, lab.Jaeger); {
		case !d.explain || jaeger == "":
			args = append(args, "-explain=false")
		default:
			args = append(args, "-jaeger="+jaeger)
		}
	}
	if d.address != "" {
		args = append(args, d.address)
	}
	for i := range args { // Kubernetes replaces $(NAME) in them, and $$ by $
		args[i] = strings.ReplaceAll(args[i], "$", "$$")
	}
	type m = map[string]any
	return kubernetes.Values(m{"image": kubernetes.Image(d.k8s.Image), "workers": d.workers, "capacity": search, "args": args, "token": d.token, "secretEnv": d.secrets, "files": d.files, "otlp": m{"endpoint": lab.OTLP},
		"activeDeadlineSeconds": int(d.longest(c, search).Seconds())})
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// readiness is what lab up waits for.
type readiness string

const (
	waitAll      readiness = "all"
	waitServices readiness = "services"
)

// reached reports whether a lab is as ready as that. The services are those that albums go
// through: an external album store is none of the lab's.
func (r readiness) reached(st supervisor.Status) bool {
	if st.Phase == supervisor.Up || r == waitAll {
		return st.Phase == supervisor.Up
	}
	return !slices.ContainsFunc(st.Components, func(p supervisor.ComponentStatus) bool {
		return (p.Name == plan.StoreName || p.Name == plan.ProxyName) && p.State != supervisor.Ready
	})
}

// follow shows the start of the lab until it is ready, done is closed, or ctx ends.
func follow(ctx context.Context, client *supervisor.Client, ready readiness, stderr io.Writer, done <-chan struct{}) (supervisor.Status, error) {
	v := &view{Progress: cli.NewProgress(stderr), seen: map[string]supervisor.State{}, said: map[string]bool{}, begun: time.Now()}
	defer v.Clear()
	failures := 0
	for {
		st, err := client.Status(ctx)
		if err == nil {
			failures = 0
			v.update(st)
			switch {
			case st.Phase == supervisor.Stopping && done == nil:
				return st, errors.New(strings.TrimSuffix("the lab is stopping: "+st.Failure, ": "))
			case st.Phase != supervisor.Stopping && ready.reached(st):
				return st, nil
			}
		} else if failures++; done == nil && failures > 10 {
			return st, fmt.Errorf("the lab no longer responds: %w", err)
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-done:
			return st, errors.New("the supervisor exited")
		case <-time.After(supervisor.PollInterval):
		}
	}
}

// view writes one line per state change, and a last one that shows the work in progress.
type view struct {
	*cli.Progress
	seen  map[string]supervisor.State
	said  map[string]bool
	begun time.Time
}

func (v *view) update(st supervisor.Status) {
	for _, p := range st.Components {
		if p.Reason != "" {
			v.once(fmt.Sprintf("%-15s %s", p.Name, p.Reason))
		}
		if p.Path != "" {
			v.once(fmt.Sprintf("%-15s taken    %s, version %s (%s)", p.Name, p.Path, p.Version, p.From))
		}
		if p.State == v.seen[p.Name] {
			continue
		}
		v.seen[p.Name] = p.State
		switch p.State {
		case supervisor.Ready:
			v.Line(fmt.Sprintf("%-15s ready    %5.1f s  %s", p.Name, time.Since(v.begun).Seconds(), p.Address))
		case supervisor.Building:
			v.Line(fmt.Sprintf("%-15s building", p.Name))
		}
	}
	v.Show(v.work(st))
}

// work is the line about the work in progress.
func (v *view) work(st supervisor.Status) string {
	var now []string
	if left := time.Duration(st.BuildsLeft * float64(time.Second)).Round(10 * time.Second); left > 0 {
		now = append(now, "about "+left.String()+" left")
	}
	for _, p := range st.Components {
		switch {
		case p.State == supervisor.Building && p.Total > 0:
			now = append(now, fmt.Sprintf("building %s: %d of %d packages, %.0f s", p.Name, p.Done, p.Total, time.Since(p.Since).Seconds()))
		case p.State == supervisor.Building:
			now = append(now, fmt.Sprintf("building %s: downloading modules, %.0f s", p.Name, time.Since(p.Since).Seconds()))
		case p.State == supervisor.Downloading:
			now = append(now, downloading(p))
		case p.State == supervisor.Started:
			now = append(now, "starting "+p.Name)
		}
	}
	if st.Phase == supervisor.Stopping {
		now = append(now, "stopping")
	}
	return strings.Join(now, "; ")
}

// once writes a line unless it was written before.
func (v *view) once(line string) {
	if !v.said[line] {
		v.said[line] = true
		v.Line(line)
	}
}

// downloading shows the progress of a download.
func downloading(p supervisor.ComponentStatus) string {
	of := ""
	if p.Size > 0 {
		of = fmt.Sprintf(" of %d", p.Size>>20)
	}
	return fmt.Sprintf("downloading %s %s: %d%s MiB", p.Name, p.Version, p.Received>>20, of)
}

// show prints the table and what to try next.
func show(l plan.Lab, st supervisor.Status, stdout io.Writer) error {
	var b bytes.Buffer
	table(&b, st)
	if st.Phase == supervisor.Starting {
		fmt.Fprint(&b, "\nthe rest is still starting: lab status shows how far it is. Telemetry is lost until the Collector is ready.\n")
	}
	datagen, loadgen := "go run ./datagen -n 1000", "go run ./loadgen -rate 100"
	if l.Offset != 0 {
		env := "OTEL_EXPORTER_OTLP_ENDPOINT=" + l.OTLP() + " "
		datagen, loadgen = env+datagen+" -url "+l.Proxy(), env+loadgen+" -url "+l.Proxy()+" -jaeger "+l.Jaeger()
	}
	own := ""
	if l.State != filepath.Join(l.Root, ".lab") {
		own = " -state " + l.State
		loadgen += " -keep " + filepath.Join(l.State, "runs") // where this lab's console looks
	}
	fmt.Fprintf(&b, `
open %[7]s in a browser
%[9]s
try next:
%[8]s  curl %[1]s/albums/1
  %[2]s
  %[3]s
  curl '%[4]s/api/traces?service=proxy-service&limit=1'
  curl -g '%[5]s/api/v1/query?query=histogram_quantile(0.99,sum+by(service_name)(rate(http_server_request_duration_seconds[1m]+anchored)))'
  go run ./lab status%[6]s   (or logs, restart, down)
`, l.Proxy(), datagen, loadgen, l.Jaeger(), l.Prometheus(), own, l.Console(), startStores(l), pages(st))
	_, err := stdout.Write(b.Bytes())
	return err
}

// pages lists the web pages of programs that have some of their own.
func pages(st supervisor.Status) string {
	var b strings.Builder
	for _, p := range st.Components {
		if p.Pages != "" {
			fmt.Fprintf(&b, "%s has web pages of its own: %s\n", p.Name, p.Pages)
		}
	}
	return b.String()
}

// startStores are the commands that start the album stores of a lab without one, those
// that are to listen on this machine.
func startStores(l plan.Lab) string {
	var b strings.Builder
	for _, store := range l.Stores {
		u, err := url.Parse(store)
		if err != nil || u.Scheme != "http" || u.Port() == "" {
			continue
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			continue
		}
		fmt.Fprintf(&b, "  OTEL_EXPORTER_OTLP_ENDPOINT=%s OTEL_METRIC_EXPORT_INTERVAL=5000 OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=native go run ./store -addr %s\n", l.OTLP(), u.Host)
	}
	return b.String()
}

func table(w io.Writer, st supervisor.Status) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tADDRESS\tVERSION\tFROM\tPID\tUP FOR\tRESTARTS\tMEMORY")
	for _, p := range slices.Backward(st.Components) {
		pid, since, memory := "-", "-", "-"
		if p.Process.PID != 0 {
			pid, since, memory = fmt.Sprint(p.Process.PID), age(p.Since), fmt.Sprintf("%d MiB", p.Memory>>20)
		}
		state := string(p.State)
		if p.State == supervisor.Building {
			state = fmt.Sprintf("building %d/%d", p.Done, p.Total)
		}
		version := cmp.Or(p.Version, "-")
		if len(version) > 20 { // of a commit
			version = version[:17] + "..."
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", p.Name, state, p.Address, version, cmp.Or(p.From, "-"), pid, since, p.Restarts, memory)
	}
	t.Flush()
	fmt.Fprintf(w, "\n%s, %d MiB with the supervisor (pid %d), in %s\n", st.Phase, st.Memory>>20, st.Supervisor.PID, st.State)
	if len(st.Stores) > 0 {
		fmt.Fprintf(w, "the album store is external: the proxy calls %s\n", strings.Join(st.Stores, ", "))
	}
}

// external returns an error if name is the album store and this lab uses an external one.
func external(name string, st supervisor.Status) error {
	if name != plan.StoreName || len(st.Stores) == 0 {
		return nil
	}
	return fmt.Errorf("%s is not a component of the lab in %s: it is external, at %s (lab up -store)", name, st.State, strings.Join(st.Stores, ", "))
}

func age(t time.Time) string { return time.Since(t).Truncate(time.Second).String() }

func status(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab status [flags]", "Show the components of the lab. Exit code 1 if one is not ready.")
	asJSON := f.Bool("json", false, "print JSON")
	l, _, err := parse(f, args, getenv, stdout)
	if err != nil {
		return err
	}
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil {
		return err
	}
	if client == nil {
		left, err := supervisor.Saved(l.State)
		if err != nil {
			return err
		}
		if left == nil {
			reason, _ := os.ReadFile(filepath.Join(l.Logs(), errName)) // written when the supervisor failed
			if text := strings.TrimSpace(string(reason)); text != "" {
				return fmt.Errorf("the lab is not running, it stopped: %s", strings.TrimPrefix(text, "lab: "))
			}
			return fmt.Errorf("the lab is not running: start it with lab up")
		}
		return errors.New("the lab's supervisor was killed; some components may still run: lab up restarts all, lab down stops them")
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(st)
	} else {
		table(stdout, st)
	}
	if err != nil {
		return err
	}
	for _, p := range st.Components {
		if p.State != supervisor.Ready {
			fmt.Fprintf(stderr, "%s is %s: %s\n", p.Name, p.State, p.Detail)
			err = cli.ErrSaid
		}
	}
	return err
}

func restart(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab restart [flags] name", "Restart one component, rebuilt if its sources changed.")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return f.Errorf("name one component")
	}
	name, err := componentName(f, f.Arg(0))
	if err != nil {
		return err
	}
	l, _, err := f.lab()
	if err != nil {
		return err
	}
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil {
		return err
	}
	if client == nil {
		return errors.New("the lab is not running: start it with lab up")
	}
	if err := external(name, st); err != nil {
		return fmt.Errorf("%w; restart it there", err)
	}
	if name == plan.GrafanaName && !hasGrafana(st) {
		return fmt.Errorf("the lab in %s runs no Grafana: start it with lab up -grafana", st.State)
	}
	begun := time.Now()
	if err := client.Restart(ctx, name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s ready after %.1f s\n", name, time.Since(begun).Seconds())
	return err
}

// componentName returns name if there is such a component, else a usage error.
func componentName(f *flags, name string) (string, error) {
	var names []string
	for _, p := range (plan.Lab{Grafana: true}).Components() {
		if p.Name == name {
			return name, nil
		}
		names = append(names, p.Name)
	}
	return "", f.Errorf("no component %q; components: %s", name, strings.Join(names, ", "))
}

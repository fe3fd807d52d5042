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
	"soundcheck/lab/view"
)

// show prints the table and what to try next.
func show(l plan.Lab, st supervisor.Status, stdout io.Writer) error {
	var b bytes.Buffer
	table(&b, st)
	if st.Phase == supervisor.Starting {
		fmt.Fprint(&b, "\nthe rest is still starting: lab status shows the progress, and the same lab up with -wait all waits for it. Telemetry is lost until the Collector is ready.\n")
	}
	hints(&b, l, st)
	_, err := stdout.Write(b.Bytes())
	return err
}

// hints are what to try next with the components that are ready.
func hints(w io.Writer, l plan.Lab, st supervisor.Status) {
	datagen, loadgen := "go run ./datagen -n 1000", "go run ./loadgen -rate 100"
	if l.Offset != 0 {
		env := "OTEL_EXPORTER_OTLP_ENDPOINT=" + l.OTLP() + " "
		datagen, loadgen = env+datagen+" -url "+l.Proxy(), env+loadgen+" -url "+l.Proxy()+" -jaeger "+l.Jaeger()
	}
	own := stateFlag(l)
	if own != "" {
		loadgen += " -keep " + cli.Quote(filepath.Join(l.State, "runs")) // where this lab's console looks
	}
	// Once the lab was up, a component that is not ready is only being restarted.
	ready := func(names ...string) bool {
		return st.Phase != supervisor.Starting || !slices.ContainsFunc(st.Components, func(p supervisor.ComponentStatus) bool {
			return p.State != supervisor.Ready && slices.Contains(names, p.Name)
		})
	}
	if ready("console") {
		fmt.Fprintf(w, "\nopen %s in a browser\n", l.Console())
	}
	fmt.Fprintf(w, "%s\ntry next:\n%s", pages(st), startStores(l))
	if ready(plan.ProxyName) {
		fmt.Fprintf(w, "  curl %s/albums/1\n  %s\n  %s\n", l.Proxy(), datagen, loadgen)
	}
	for _, s := range st.UserServices {
		if s.URL != "" && ready(s.Name) {
			fmt.Fprintf(w, "  %s\n", l.LoadCommand(s.URL))
		}
	}
	if ready("jaeger", "console") { // the console passes requests on to Jaeger
		fmt.Fprintf(w, "  curl '%s/api/traces?service=proxy-service&limit=1'\n", l.Jaeger())
	}
	if ready("prometheus") {
		fmt.Fprintf(w, "  curl -g '%s/api/v1/query?query=histogram_quantile(0.99,sum+by(service_name)(rate(http_server_request_duration_seconds[1m]+anchored)))'\n", l.Prometheus())
	}
	fmt.Fprintf(w, "  go run ./lab status%s   (or logs, restart, down)\n", own)
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
			state = "building: " + view.BuildStep(p)
		}
		version := cmp.Or(p.Version, "-")
		if len(version) > 20 { // of a commit
			version = version[:17] + "..."
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", p.Name, state, cmp.Or(p.Address, "-"), version, cmp.Or(p.From, "-"), pid, since, p.Restarts, memory)
	}
	t.Flush()
	if st.BuildsLeft > 0 {
		fmt.Fprintf(w, "\nabout %s until all is built\n", view.BuildsLeft(st))
	}
	fmt.Fprintf(w, "\n%s, %d MiB with the supervisor (pid %d), in %s\n", st.Phase, st.Memory>>20, st.Supervisor.PID, st.State)
	if st.Exercise != "" {
		fmt.Fprintf(w, "the exercise %s is active: lab exercise show, or stop\n", st.Exercise)
	}
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
			reason, _ := os.ReadFile(filepath.Join(l.Logs(), supervisor.ErrName)) // written when the supervisor failed
			if text := strings.TrimSpace(string(reason)); text != "" {
				return fmt.Errorf("the lab is not running, it stopped: %s", strings.TrimPrefix(text, "lab: "))
			}
			return fmt.Errorf("the lab is not running in %s: start it with lab up", l.State)
		}
		return errors.New("the lab's supervisor was killed; some components may still run: lab up -again restarts all, lab down stops them")
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
			fmt.Fprintln(stderr, strings.TrimSuffix(fmt.Sprintf("%s is %s: %s", p.Name, p.State, p.Detail), ": "))
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
	l, _, err := f.lab()
	if err != nil {
		return err
	}
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil {
		return err
	}
	if client == nil { // first: only a running lab knows the programs of -with
		return errors.New("the lab is not running: start it with lab up")
	}
	name, err := componentName(f, f.Arg(0), st)
	if err != nil {
		return err
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
func componentName(f *flags, name string, st supervisor.Status) (string, error) {
	var names []string
	for _, p := range (plan.Lab{Grafana: true, UserServices: st.UserServices}).Components() {
		if p.Name == name {
			return name, nil
		}
		names = append(names, p.Name)
	}
	return "", f.Errorf("no component %q; components: %s", name, strings.Join(names, ", "))
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/doctor/clients"
	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/stop"
	"soundcheck/lab/supervisor"
)

func up(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newUpFlags()
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := f.NoArgs(); err != nil {
		return err
	}
	if f.again {
		var err error
		if f, err = f.asBefore(ctx, args, getenv, stdout); err != nil {
			return err
		}
	}
	l, b, err := f.complete(getenv)
	if err != nil {
		return err
	}
	ready := readiness(f.wait)
	if ready != waitAll && ready != waitServices {
		return f.Errorf("-wait %s: must be all or services", f.wait)
	}
	if f.fresh && len(l.Stores) > 0 {
		return f.Errorf("-fresh cannot empty the external album store at %s", strings.Join(l.Stores, ","))
	}
	if f.fresh && l.DB != "" && l.DB != "memory" {
		return f.Errorf("-fresh cannot empty the external database %s", l.Database())
	}
	proc.SealFiles() // a background process that inherits a pipe would block its reader
	if f.again {
		if err := stopForAgain(ctx, l, stderr); err != nil {
			return err
		}
	}
	if f.fresh {
		err := supervisor.Clear(l, l.Clear)
		if errors.Is(err, supervisor.ErrRunning) {
			return fmt.Errorf("the lab is running in %s: stop it first (go run ./lab down%s)", l.State, stateFlag(l))
		}
		if err != nil {
			return diagnose(ctx, l, b, stderr, err)
		}
	} else if joined, err := join(ctx, l, ready, stdout, stderr); joined || err != nil {
		return err
	}
	sayKept(l, stderr)
	if w := clients.Ports(l, linux.System{}); w != nil {
		fmt.Fprintln(stderr, w)
	}
	if f.foreground {
		err = inForeground(ctx, l, b, ready, stdout, stderr)
	} else {
		err = inBackground(ctx, l, ready, stdout, stderr)
	}
	return diagnose(ctx, l, b, stderr, err)
}

// parse reads the flags of a command that takes no arguments.
func parse(f *flags, args []string, getenv func(string) string, stdout io.Writer) (plan.Lab, *build.Builder, error) {
	if err := f.Parse(args, getenv, stdout); err != nil {
		return plan.Lab{}, nil, err
	}
	if err := f.NoArgs(); err != nil {
		return plan.Lab{}, nil, err
	}
	return f.complete(getenv)
}

// complete returns the lab that the flags name, with what starts of it need.
func (f *flags) complete(getenv func(string) string) (plan.Lab, *build.Builder, error) {
	l, b, err := f.lab()
	if err != nil {
		return plan.Lab{}, nil, err
	}
	l.Getenv = getenv
	l.From, err = f.programs(getenv)
	return l, b, err
}

// join waits until a lab that runs already is up. joined is false if none runs.
func join(ctx context.Context, l plan.Lab, ready readiness, stdout, stderr io.Writer) (joined bool, err error) {
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil || client == nil {
		return false, err
	}
	other := ""
	switch {
	case st.PortOffset != l.Offset:
		other = fmt.Sprintf("-port-offset %d", st.PortOffset)
	case st.Database != l.Database() || !slices.Equal(st.Stores, l.Stores):
		other = "albums in " + albums(st)
	case st.OTLPEverywhere != l.OTLPEverywhere:
		other = fmt.Sprintf("-otlp-everywhere=%t", st.OTLPEverywhere)
	case !slices.Equal(st.UserServices, l.UserServices):
		other = "other programs of -with"
	case hasGrafana(st) != l.Grafana:
		other = map[bool]string{true: "Grafana", false: "no Grafana"}[hasGrafana(st)]
	case st.From != l.From && l.From != plan.Auto: // auto takes what there is
		other = "-from " + string(st.From)
	}
	if other != "" {
		return true, fmt.Errorf("a lab with %s is running in %s: stop it first (go run ./lab down%s), or give this one another -state", other, l.State, stateFlag(l))
	}
	if st.Phase == supervisor.Up {
		fmt.Fprintln(stderr, "the lab is already up")
	}
	if st, err = follow(ctx, client, ready, stderr, nil); err != nil {
		return true, err
	}
	return true, show(l, st, stdout)
}

// hasGrafana reports whether a lab runs Grafana.
func hasGrafana(st supervisor.Status) bool {
	return slices.ContainsFunc(st.Components, func(p supervisor.ComponentStatus) bool { return p.Name == plan.GrafanaName })
}

// albums returns where a lab stores its albums.
func albums(st supervisor.Status) string {
	if len(st.Stores) > 0 {
		return "the album store at " + strings.Join(st.Stores, ",")
	}
	return st.Database
}

func inForeground(ctx context.Context, l plan.Lab, b *build.Builder, ready readiness, stdout, stderr io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Neither a closed terminal nor a closed pipe may end the supervisor.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // the write fails instead
	os.Remove(filepath.Join(l.Logs(), supervisor.ErrName))  // of an earlier start in the background
	done := make(chan struct{})
	var result error
	go func() { defer close(done); result = runSupervisor(ctx, l, b) }()
	st, err := follow(ctx, supervisor.NewClient(l.State), ready, stderr, done)
	if err == nil {
		if err := show(l, st, stdout); err != nil {
			stop()
			<-done
			return errors.Join(err, result)
		}
		fmt.Fprintln(stderr, "Ctrl-C stops the lab.")
		if st.Phase != supervisor.Up { // -wait services: show how the rest starts
			follow(ctx, supervisor.NewClient(l.State), waitAll, stderr, done)
		}
	}
	<-done
	return result
}

// inBackground starts a supervisor that outlives this command: a copy of this
// binary, because `go run` removes its own when it exits.
func inBackground(ctx context.Context, l plan.Lab, ready readiness, stdout, stderr io.Writer) error {
	if err := supervisor.Prepare(l); err != nil {
		return err
	}
	self := filepath.Join(l.State, "lab")
	if err := cli.CopySelf(self, 0o755); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	stderrFile, err := os.Create(filepath.Join(l.Logs(), supervisor.ErrName))
	if err != nil {
		return err
	}
	defer stderrFile.Close()
	cmd := exec.Command(self, append([]string{"supervise", "-state", l.State}, l.Args()...)...)
	cmd.Env = append(os.Environ(), "SOUNDCHECK_LAB_WITH=", "SOUNDCHECK_LAB_WITH_URL=", "SOUNDCHECK_LAB_STORE="+strings.Join(l.Stores, ","),
		"SOUNDCHECK_LAB_DB="+l.DB) // not an argument: it can hold a password
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = l.Root, stderrFile, stderrFile, proc.Session()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	st, err := follow(ctx, supervisor.NewClient(l.State), ready, stderr, done)
	if err == nil {
		return show(l, st, stdout)
	}
	if ctx.Err() != nil { // interrupted: stop the components that were started
		fmt.Fprintln(stderr, "interrupted, stopping the components that were started")
		// By signal: this supervisor may not listen yet, and the one that listens may be another.
		cmd.Process.Signal(syscall.SIGTERM)
		<-done
		return fmt.Errorf("interrupted")
	}
	<-done
	// Another lab up may have started it first.
	if joined, err := join(ctx, l, ready, stdout, stderr); joined || err != nil {
		return err
	}
	reason, readErr := os.ReadFile(stderrFile.Name())
	if readErr != nil || len(bytes.TrimSpace(reason)) == 0 {
		return err
	}
	stderr.Write(reason)
	return cli.ErrSaid
}

func supervise(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := newFlags("lab supervise [flags]", "Run the lab in the background. Used by lab up.").withOffset().withDB().withStore().withOTLP().withPrograms().withServices()
	l, b, err := parse(f, args, getenv, stdout)
	if err != nil {
		return err
	}
	return runSupervisor(ctx, l, b)
}

func runSupervisor(ctx context.Context, l plan.Lab, b *build.Builder) error {
	if err := supervisor.Prepare(l); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.Logs(), "lab.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	return supervisor.Run(ctx, l, l.Components(), b, slog.New(slog.NewJSONHandler(f, nil)))
}

func down(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab down [flags]", "Stop every component of the lab. Data stays.")
	l, _, err := parse(f, args, getenv, stdout)
	if err != nil {
		return err
	}
	begun := time.Now()
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil {
		return err
	}
	if client != nil {
		if err := stop.Lab(ctx, client, st.Supervisor, l.State, stderr); err != nil {
			return err
		}
	}
	left, err := stop.Sweep(l.State, stderr)
	switch {
	case err != nil:
		return err
	case left:
		_, err = fmt.Fprintln(stdout, "the lab is down (its supervisor had been killed)")
	case client == nil:
		_, err = fmt.Fprintln(stdout, "the lab is not running")
	default:
		_, err = fmt.Fprintf(stdout, "the lab is down (%.1f s)\n", time.Since(begun).Seconds())
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/stop"
	"soundcheck/lab/supervisor"
)

// upFlags are those of lab up.
type upFlags struct {
	*flags
	foreground, fresh, again bool
	wait                     string
}

func newUpFlags() *upFlags {
	f := &upFlags{flags: newFlags("lab up [flags]", "Get or build what is missing, start every component, wait until all are ready.").withOffset().withDB().withStore().withOTLP().withPrograms().withServices()}
	f.BoolVar(&f.again, "again", false, "start as last time: with the flags of the last start, except those given; stops a running lab first")
	f.BoolVar(&f.foreground, "foreground", false, "run in the foreground; stop the lab on Ctrl-C")
	f.StringVar(&f.wait, "wait", string(waitAll), "return when this is ready: `all|services` (proxy and album store)")
	f.BoolVar(&f.fresh, "fresh", false, "start empty: delete albums, traces and metrics in the state folder first")
	return f
}

// recorded are the variables whose flags a start has recorded: those of this shell do not replace them.
var recorded = []string{"PORT_OFFSET", "DB", "STORE", "OTLP_EVERYWHERE", "FROM", "GRAFANA", "WITH", "WITH_URL", "WITH_TIMEOUT", "WITH_DIR"}

// asBefore returns the flags of the last start in the state folder, replaced by those of args, which f has parsed.
func (f *upFlags) asBefore(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) (*upFlags, error) {
	_, state, err := f.folders()
	if err != nil {
		return nil, err
	}
	last, err := plan.LastStart(state)
	if err != nil {
		return nil, err
	}
	if last == nil {
		return nil, fmt.Errorf("-again: no start is recorded in %s: run lab up without -again, with the flags that you want", state)
	}
	all := newUpFlags()
	err = all.Parse(last.Args, func(name string) string {
		if flag, ok := strings.CutPrefix(name, "SOUNDCHECK_LAB_"); ok && slices.Contains(recorded, flag) {
			return ""
		}
		return getenv(name)
	}, stdout)
	if err != nil {
		return nil, fmt.Errorf("-again: the flags of the last start: %w", err)
	}
	all.with.Default()
	all.withURL.Default()
	switch {
	case f.given("db"):
		all.store = ""
	case f.given("store"):
		all.db = ""
	case last.PartOfDB:
		if all.db, err = completeDB(ctx, state, all.db, getenv("SOUNDCHECK_LAB_DB")); err != nil {
			return nil, err
		}
	}
	if err := all.FlagSet.Parse(args); err != nil {
		return nil, err
	}
	if f.given("with") && !f.given("with-url") {
		all.withURL.List = slices.DeleteFunc(all.withURL.List, func(recorded string) bool { // of a program that is replaced
			name, _, _ := strings.Cut(recorded, "=")
			return !slices.ContainsFunc(all.with.List, func(with string) bool { return strings.HasPrefix(with, name+"=") })
		})
	}
	return all, nil
}

// completeDB returns the database whose part without secrets is db: from the environment, or from the running supervisor.
func completeDB(ctx context.Context, state, db, variable string) (string, error) {
	if cli.WithoutPassword(variable) == db {
		return variable, nil
	}
	client, _, err := supervisor.Connect(ctx, state)
	if err != nil {
		return "", err
	}
	if client != nil {
		return client.Database(ctx)
	}
	return "", fmt.Errorf("-again: the password and the parameters of %s are not stored: set SOUNDCHECK_LAB_DB to the complete URL", db)
}

// stopForAgain stops the lab if it runs.
func stopForAgain(ctx context.Context, l plan.Lab, stderr io.Writer) error {
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil || client == nil {
		return err
	}
	fmt.Fprintln(stderr, "stopping the lab")
	return stop.Lab(ctx, client, st.Supervisor, l.State, stderr)
}

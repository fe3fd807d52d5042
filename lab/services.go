package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// withServices adds the flags for programs of the user.
func (f *flags) withServices() *flags {
	f.Var(&f.with, "with", "run a program of yours, too: `NAME=COMMAND`; repeatable; see docs/your-service.md")
	f.Var(&f.withURL, "with-url", "`URL` of the program of -with, which responds once it is ready; NAME=URL with several")
	f.DurationVar(&f.withTimeout, "with-timeout", 2*time.Minute, "max `time` from start of a program of -with until it is ready (1s to 1h)")
	f.StringVar(&f.withDir, "with-dir", ".", "working `folder` of the programs of -with")
	return f
}

// services returns the programs of the user.
func (f *flags) services(l plan.Lab) ([]plan.Service, error) {
	if f.Lookup("with") == nil {
		return nil, nil
	}
	if f.withTimeout < time.Second || f.withTimeout > time.Hour {
		return nil, f.Errorf("-with-timeout %s is out of range: 1s to 1h", f.withTimeout)
	}
	dir, err := filepath.Abs(f.withDir)
	if err != nil {
		return nil, err
	}
	list, err := l.Services(f.with.List, f.withURL.List, dir, f.withTimeout)
	if err != nil {
		return nil, f.Errorf("%v", err)
	}
	return list, nil
}

// serviceArgs are the flags of lab supervise for the programs of the user.
func serviceArgs(l plan.Lab) (args []string) {
	for _, s := range l.Own {
		args = append(args, "-with", s.Name+"="+s.Command, "-with-timeout", s.Timeout.String(), "-with-dir", s.Dir)
		if s.URL != "" {
			args = append(args, "-with-url", s.Name+"="+s.URL)
		}
	}
	return args
}

// sayKept shows what the user's environment sets in place of the lab.
func sayKept(l plan.Lab, stderr io.Writer) {
	for _, s := range l.Own {
		if kept := l.Kept(s.Name); len(kept) > 0 {
			fmt.Fprintf(stderr, "%s has from your environment, not from the lab: %s\n", s.Name, strings.Join(kept, " "))
		}
	}
}

// loads are the commands that send load to the programs of the user.
func loads(l plan.Lab, st supervisor.Status) string {
	env, flags := "", ""
	if l.Offset != 0 {
		env, flags = "OTEL_EXPORTER_OTLP_ENDPOINT="+l.OTLP()+" ", " -jaeger "+l.Jaeger()
	}
	if l.State != ownState(l.Root) {
		flags += " -keep " + filepath.Join(l.State, "runs")
	}
	var b strings.Builder
	for _, s := range st.Own {
		if s.URL != "" {
			fmt.Fprintf(&b, "  %sgo run ./loadgen -rate 20%s %s\n", env, flags, s.URL)
		}
	}
	return b.String()
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
	"soundcheck/lab/tail"
)

func logs(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab logs [flags] [name ...]", "Show the last lines of component logs (default: all components).")
	follow := f.Bool("f", false, "follow new lines until Ctrl-C")
	n := f.Int("n", 20, "last `lines` of each log to show (0 to 100000)")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if *n < 0 || *n > 100000 {
		return f.Errorf("-n %d is out of range: 0 to 100000", *n)
	}
	l, _, err := f.lab()
	if err != nil {
		return err
	}
	names, err := logNames(f, l.State)
	if err != nil {
		return err
	}
	lines := make(chan string)
	var tails []*tail.Tail
	for _, name := range names {
		t := &tail.Tail{Path: filepath.Join(l.Logs(), name+".log")}
		if len(names) > 1 {
			t.Prefix = fmt.Sprintf("%-15s ", name)
		}
		if err := t.Begin(*n, *follow, stdout); err != nil {
			return err
		}
		tails = append(tails, t)
	}
	if !*follow {
		return nil
	}
	for _, t := range tails {
		go t.Follow(ctx, lines)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case line := <-lines:
			if _, err := io.WriteString(stdout, line); err != nil {
				return err
			}
		}
	}
}

// logNames returns the components whose logs were requested. The log of an external album
// store is not in the state folder; a file of that name is from an earlier store.
func logNames(f *flags, state string) (names []string, err error) {
	var st supervisor.Status
	saved, err := supervisor.Saved(state)
	if err == nil && saved != nil { // logs can be read whatever else is broken
		st = *saved
	}
	folder := plan.Lab{State: state}.Logs()
	var none error
	if _, noFolder := os.Stat(folder); noFolder != nil && err == nil && saved == nil {
		none = fmt.Errorf("the lab is not running in %s, and has no logs there: start it with lab up, or select another lab with -state", state)
	}
	for _, name := range f.Args() {
		running := slices.ContainsFunc(st.Components, func(c supervisor.ComponentStatus) bool { return c.Name == name }) // also of an exercise
		// That of a program of the user is there after its lab, too.
		_, noFile := os.Stat(filepath.Join(folder, name+".log"))
		if !running && (noFile != nil || filepath.Base(name) != name || name == plan.StoreName) {
			if name, err = componentName(f, name, st); err != nil {
				return nil, err
			}
		}
		if err := external(name, st); err != nil {
			return nil, fmt.Errorf("%w; its log is not in the state folder", err)
		}
		if !running && noFile != nil {
			return nil, cmp.Or(none, fmt.Errorf("no log of %s in %s: lab up starts a lab, lab status shows its components", name, folder))
		}
		names = append(names, name)
	}
	if names == nil && none == nil {
		for _, p := range (plan.Lab{Stores: st.Stores, Grafana: hasGrafana(st), UserServices: st.UserServices}).Components() {
			names = append(names, p.Name)
		}
	}
	return names, none
}

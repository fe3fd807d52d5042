package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
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
	var tails []*tail
	for _, name := range names {
		t := &tail{path: filepath.Join(l.Logs(), name+".log")}
		if len(names) > 1 {
			t.prefix = fmt.Sprintf("%-15s ", name)
		}
		if err := t.begin(*n, *follow, stdout); err != nil {
			return err
		}
		tails = append(tails, t)
	}
	if !*follow {
		return nil
	}
	for _, t := range tails {
		go t.follow(ctx, lines)
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
	if saved, err := supervisor.Saved(state); err == nil && saved != nil { // logs can be read whatever else is broken
		st = *saved
	}
	for _, name := range f.Args() {
		running := slices.ContainsFunc(st.Components, func(c supervisor.ComponentStatus) bool { return c.Name == name }) // also of an exercise
		if !running {
			if name, err = componentName(f, name); err != nil {
				return nil, err
			}
		}
		if err := external(name, st); err != nil {
			return nil, fmt.Errorf("%w; its log is not in the state folder", err)
		}
		names = append(names, name)
	}
	if names == nil {
		for _, p := range (plan.Lab{Stores: st.Stores, Grafana: hasGrafana(st)}).Components() {
			names = append(names, p.Name)
		}
	}
	return names, nil
}

// tail reads the lines that are appended to a file.
type tail struct {
	path   string
	prefix string
	offset int64
}

// begin writes the last n lines and stores their end. An unfinished line is
// left to follow.
func (t *tail) begin(n int, follow bool, w io.Writer) error {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	t.offset = size
	if follow && size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			if t.offset, err = supervisor.LastLines(f, size, 1); err != nil {
				return err
			}
		}
	}
	begin, err := supervisor.LastLines(f, t.offset, n)
	if err != nil {
		return err
	}
	for r := bufio.NewReader(io.NewSectionReader(f, begin, t.offset-begin)); ; {
		line, err := r.ReadString('\n')
		if line != "" {
			if _, err := fmt.Fprintf(w, "%s%s\n", t.prefix, strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// follow sends complete lines until ctx ends. It starts over when the file was truncated.
func (t *tail) follow(ctx context.Context, lines chan<- string) {
	for {
		t.read(ctx, lines)
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (t *tail) read(ctx context.Context, lines chan<- string) {
	f, err := os.Open(t.path)
	if err != nil {
		return // not there yet
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() < t.offset {
		t.offset = 0
	}
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return
	}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return // an unfinished line: read it again later
		}
		t.offset += int64(len(line))
		select {
		case lines <- t.prefix + line:
		case <-ctx.Done():
			return
		}
	}
}

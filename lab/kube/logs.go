package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"soundcheck/lab/command"
)

// Collector is the component whose containers have labtool: see Exec.
const Collector = "otel-collector"

// pods lists the pods of a component.
func (r *Release) pods(ctx context.Context, component string) ([]object, error) {
	return r.get(ctx, "pods", r.selector(component), "--namespace", r.Namespace)
}

// status returns the status of a container of a pod.
func (o *object) status(name string) (c container) {
	for _, s := range o.Status.ContainerStatuses {
		if s.Name == name {
			c = s
		}
	}
	return c
}

// Pods returns the names of the pods of a component whose container runs.
func (r *Release) Pods(ctx context.Context, component string) ([]string, error) {
	pods, err := r.pods(ctx, component)
	var names []string
	for _, p := range pods {
		if p.status(component).State.Running != nil {
			names = append(names, p.Metadata.Name)
		}
	}
	return names, err
}

// Env returns the value of an environment variable in the first pod of a component; "" if it has none, or
// one from a Secret.
func (r *Release) Env(ctx context.Context, component, name string) (string, error) {
	pods, err := r.pods(ctx, component)
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			for _, e := range c.Env {
				if c.Name == component && e.Name == name {
					return e.Value, nil
				}
			}
		}
	}
	return "", err
}

// Exec runs a command in the Collector's container of a pod, and returns its output.
func (r *Release) Exec(ctx context.Context, pod string, args ...string) ([]byte, error) {
	return r.output(ctx, append([]string{"exec", pod, "--namespace", r.Namespace, "--container", Collector, "--"}, args...)...)
}

// Logs returns what the containers of components have written since a time, each container's part on its
// own: those of all pods, what a container wrote before it was restarted, and, after Follow, what
// kubectl returns no longer: the lines of pods that have been deleted, of containers that were restarted
// twice, and of log files that the kubelet has rotated away (by default at 10 MiB).
func (r *Release) Logs(ctx context.Context, since time.Time, components ...string) (parts [][]byte, err error) {
	for _, component := range components {
		pods, err := r.pods(ctx, component)
		if err != nil {
			return nil, err
		}
		read := map[string][][]byte{} // by pod
		for _, p := range pods {
			c, name := p.status(component), p.Metadata.Name
			fetch := func(flags ...string) error {
				b, err := r.output(ctx, slices.Concat([]string{"logs", name, "--namespace", r.Namespace, "--container", component,
					"--since-time", since.UTC().Format(time.RFC3339), "--tail", "-1"}, flags)...)
				if err == nil {
					parts = append(parts, b)
					read[name] = append(read[name], b)
				}
				return err
			}
			var err error
			last := c.LastState.Terminated
			if last != nil && last.FinishedAt.After(since) {
				err = fetch("--previous")
			}
			if err == nil && (c.State.Running != nil || c.State.Terminated != nil) { // else it waits, and has no log
				err = fetch()
			}
			if err != nil && !errors.Is(err, errNotFound) { // else deleted meanwhile
				return nil, err
			}
		}
		r.mu.Lock()
		f := r.followers[component]
		r.mu.Unlock()
		if f != nil {
			parts = append(parts, f.others(read)...)
		}
	}
	return parts, nil
}

// margin is how much the clocks of nodes may differ from ours. Older lines do no harm.
const margin = 10 * time.Second

// maxFollowed is how many bytes of a component's logs a follower keeps.
const maxFollowed = 64 << 20

// follower keeps the logs of a component's pods: those of a deleted pod or a rotated file cannot be read.
type follower struct {
	max  int    // bytes
	full func() // called with the first line beyond it

	mu    sync.Mutex
	lines map[string][]byte // by pod
	size  int
	over  bool
}

// Follow reads the logs of a component's current pods as they are written, until Close or the end of
// ctx: see Logs.
func (r *Release) Follow(ctx context.Context, component string) {
	r.follow(ctx, component, maxFollowed)
}

func (r *Release) follow(ctx context.Context, component string, most int) {
	f := &follower{max: most, lines: map[string][]byte{}, full: func() {
		r.log("the log of %s has more than %d MiB: later lines of deleted pods and rotated files may be missing", component, most>>20)
	}}
	r.mu.Lock()
	r.followers[component] = f
	r.mu.Unlock()
	r.background(ctx, func(ctx context.Context) {
		args := []string{"logs", "--selector", r.selector(component), "--namespace", r.Namespace, "--container", component,
			"--since-time", time.Now().Add(-margin).UTC().Format(time.RFC3339), "--tail", "-1", "--follow", "--prefix", "--ignore-errors", "--max-log-requests", "100"}
		cmd := r.command(ctx, args...)
		in, out := io.Pipe()
		var stderr command.Tail
		cmd.Stdout, cmd.Stderr = out, &stderr
		var reader sync.WaitGroup
		reader.Go(func() { f.read(in) })
		err := cmd.Run() // nil when all of its containers have ended
		out.Close()
		reader.Wait()
		if err != nil && ctx.Err() == nil { // Logs still reads the pods that exist
			r.log("the log of %s is not followed any more, and lines of deleted pods and rotated files may be missing: %v", component, r.explain(args, stderr.String(), err))
		}
	})
}

// read stores lines that begin with [pod/NAME/CONTAINER].
func (f *follower) read(in io.Reader) {
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		prefix, text, ok := bytes.Cut(line, []byte("] "))
		pod, ok2 := strings.CutPrefix(string(prefix), "[pod/")
		pod, _, ok3 := strings.Cut(pod, "/")
		if ok && ok2 && ok3 {
			f.add(pod, text)
		}
	}
}

// add stores a line of a pod, if there is space left.
func (f *follower) add(pod string, line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.size+len(line) <= f.max && !f.over:
		f.lines[pod] = append(f.lines[pod], line...)
		f.size += len(line)
	case !f.over:
		f.over = true
		f.full()
	}
}

// others returns the lines that are not among those read of the same pod. A line that was written twice
// and read once is one of them.
func (f *follower) others(read map[string][][]byte) (parts [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for pod, lines := range f.lines {
		known := map[string]int{}
		for _, b := range read[pod] {
			for line := range bytes.Lines(b) {
				known[string(line)]++
			}
		}
		var part []byte
		for line := range bytes.Lines(lines) {
			if known[string(line)] > 0 {
				known[string(line)]--
				continue
			}
			part = append(part, line...)
		}
		if part != nil {
			parts = append(parts, part)
		}
	}
	return parts
}

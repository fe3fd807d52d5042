package kube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"time"

	"soundcheck/lab/command"
)

// Times of a forward. Tests lengthen the timeouts.
var (
	startTimeout = 30 * time.Second // until kubectl listens for the first time
	renewTimeout = 15 * time.Second // how long a connection waits for kubectl
)

const renewPause = 200 * time.Millisecond // before kubectl starts again

// forward is an address of this machine whose connections go to a port of a component. kubectl's own
// forward ends with its pod, or with a connection that the pod refuses: so connections are accepted
// here, and kubectl is started again while they wait.
type forward struct {
	kubectl
	args     []string
	listener net.Listener
	ended    func(error) // called when kubectl, which has listened, exits

	mu       sync.Mutex
	target   string        // where kubectl listens; "": nowhere
	listened bool          // at any time
	change   chan struct{} // closed when target changes
	err      error         // of the last kubectl
}

// Forward returns an address of this machine, host:port, for a port of a component. It works until
// Close or the end of ctx, whatever pods do.
func (r *Release) Forward(ctx context.Context, component string, port int) (string, error) {
	service, err := r.service(component, port)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	f := &forward{kubectl: r.kubectl, listener: listener, change: make(chan struct{}), args: []string{"port-forward", "--namespace", r.Namespace,
		"--address", "127.0.0.1", "--pod-running-timeout", "20s", "service/" + service, fmt.Sprintf(":%d", port)}}
	f.ended = func(err error) {
		r.log("the forward to %s ended, and is renewed: %v", component, err)
	}
	stopKeep, stopAccept := r.background(ctx, f.keep), r.background(ctx, f.accept)
	wait, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if _, err = f.address(wait, ""); err != nil { // whoever calls again gets another forward
		stopKeep()
		stopAccept()
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("forward port %d of %s: %w", port, component, err)
	}
	return listener.Addr().String(), nil
}

// keep runs kubectl again and again.
func (f *forward) keep(ctx context.Context) {
	for ctx.Err() == nil {
		listened, err := f.run(ctx)
		f.set("", err)
		if listened && ctx.Err() == nil {
			f.ended(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(renewPause):
		}
	}
}

// listens is the line that kubectl prints when it listens.
var listens = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) -> `)

// run runs kubectl until it exits.
func (f *forward) run(ctx context.Context) (listened bool, err error) {
	cmd := f.command(ctx, f.args...)
	var stderr command.Tail
	cmd.Stderr = &stderr
	r, w := io.Pipe()
	cmd.Stdout = w
	var reader sync.WaitGroup
	reader.Go(func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if m := listens.FindStringSubmatch(lines.Text()); m != nil {
				f.set(m[1], nil)
				listened = true
			}
		}
		_, _ = io.Copy(io.Discard, r) // after a line that is too long
	})
	err = cmd.Run()
	w.Close()
	reader.Wait()
	if err == nil {
		err = errors.New("it exited")
	}
	return listened, f.explain(f.args, stderr.String(), err)
}

// set stores where kubectl listens, or why it does not.
func (f *forward) set(target string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target, f.err = target, err
	f.listened = f.listened || target != ""
	close(f.change)
	f.change = make(chan struct{})
}

// address waits until kubectl listens, elsewhere than before, and returns where. The error is that of
// kubectl: at once if it cannot succeed. After it has listened once, what it does not find is a pod that
// was deleted after the lookup, and that will be replaced.
func (f *forward) address(ctx context.Context, before string) (string, error) {
	for {
		f.mu.Lock()
		target, err, change, listened := f.target, f.err, f.change, f.listened
		f.mu.Unlock()
		switch {
		case target != "" && target != before:
			return target, nil
		case errors.As(err, new(Forbidden)) || errors.Is(err, errNotFound) && !listened:
			return "", err
		}
		select {
		case <-change:
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return "", err
		}
	}
}

// accept accepts connections.
func (f *forward) accept(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { f.listener.Close() })()
	defer f.listener.Close() // if a connection came before that
	var open sync.WaitGroup
	defer open.Wait()
	for {
		c, err := f.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return
		}
		if err != nil { // out of file descriptors
			time.Sleep(renewPause)
			continue
		}
		open.Go(func() { f.serve(ctx, c) })
	}
}

// serve connects one connection.
func (f *forward) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	wait, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	before := ""
	for {
		target, err := f.address(wait, before)
		if err != nil {
			return
		}
		var d net.Dialer
		server, err := d.DialContext(wait, "tcp", target)
		if err != nil { // it has just exited
			before = target
			continue
		}
		defer server.Close()
		defer context.AfterFunc(ctx, func() { server.Close() })()
		var both sync.WaitGroup
		both.Go(func() { pipe(server, client) })
		both.Go(func() { pipe(client, server) })
		both.Wait()
		return
	}
}

// pipe copies one direction, and its end.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		to.Close() // so that the other direction ends, too
		from.Close()
		return
	}
	if c, ok := to.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
}

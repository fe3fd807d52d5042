package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
	"soundcheck/lab/probe"
)

// autoFirstByte is how long plan.Auto waits for the network. Tests change it.
var autoFirstByte = 3 * time.Second

// download is a release that is being fetched.
type download struct {
	obtain.Release
	required    bool // nothing else can replace it
	done, total atomic.Int64

	decided chan struct{} // closed at the first byte, or when it failed before
	arrives bool          // the first byte arrived; to be read when decided is closed
	ended   chan struct{} // closed at the end
	err     error         // to be read when ended is closed
}

// obtainAll finds the programs that need not be built, and starts the downloads of those that
// are released. Its error names what cannot be had; nothing was started then.
func (s *Supervisor) obtainAll(ctx context.Context) error {
	errs := make([]error, len(s.runners))
	var wg sync.WaitGroup
	for i, r := range s.runners {
		if r.Program != nil && !(s.lab.From == plan.Source && r.CanBeBuilt()) {
			wg.Go(func() { errs[i] = s.obtain(ctx, r) }) // a large program takes half a second to print its version
		}
	}
	wg.Wait()
	for _, r := range s.runners {
		if d := r.download; d != nil && d.required {
			select {
			case <-d.decided:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if !d.arrives {
				<-d.ended
				errs = append(errs, d.err)
			}
		}
	}
	return errors.Join(errs...)
}

// obtain finds one program, or starts its download. If it does neither, the program is built.
func (s *Supervisor) obtain(ctx context.Context, r *runner) error {
	getenv := s.lab.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	found, reason, err := r.Program.Find(ctx, getenv, s.build.Bin)
	if err != nil {
		return err
	}
	if reason != "" {
		s.log.Info("not taken", slog.String("component", r.Name), slog.String("reason", reason))
		s.set(func() { r.reason = reason })
	}
	if found.Path != "" {
		s.take(r, found, found.Origin)
		return nil
	}
	if s.lab.From != plan.Releases && r.CanBeBuilt() && s.build.Fresh(r.Target) {
		return nil
	}
	list, err := obtain.Releases(s.lab.Root)
	if err != nil {
		return err
	}
	release, ok := r.Program.Select(list, runtime.GOOS, runtime.GOARCH)
	if !ok {
		none := fmt.Sprintf("no release of %s is pinned for %s/%s", r.Program.Name, runtime.GOOS, runtime.GOARCH)
		switch {
		case !r.CanBeBuilt():
			return errors.New(prefixed(r.reason, none) + ": " + remedy(r, nil))
		case s.lab.From == plan.Releases:
			s.set(func() { r.reason = prefixed(r.reason, none+": it is built") })
		}
		return nil
	}
	fetcher, err := obtain.NewFetcher(s.build.Bin, getenv(obtain.MirrorVariable))
	if err != nil {
		return err
	}
	if found, ok := fetcher.Installed(r.Program, release); ok {
		s.take(r, found, FromRelease)
		return nil
	}
	d := &download{Release: release, decided: make(chan struct{}), ended: make(chan struct{}),
		required: !r.CanBeBuilt() || s.lab.From == plan.Releases}
	if !d.required {
		fetcher.FirstByte = autoFirstByte
	}
	s.set(func() { r.download = d })
	s.downloads.Go(func() { s.fetch(ctx, r, d, fetcher) })
	return nil
}

func prefixed(reason, text string) string {
	if reason == "" {
		return text
	}
	return reason + "; " + text
}

// remedy says how to get a program that could not be fetched.
func remedy(r *runner, d *download) string {
	p := r.Program
	text := fmt.Sprintf("install %s %s or later (before %s), or set %s to its path", p.Name, p.Min, p.Below, p.Variable())
	if !r.CanBeBuilt() {
		text = fmt.Sprintf("install Grafana %d, or set %s=/path/bin/grafana", p.Min[0], p.Variable())
	}
	if d != nil {
		text += fmt.Sprintf(", or set %s to a folder that serves %s", obtain.MirrorVariable, d.Archive())
	}
	if r.CanBeBuilt() {
		text += ", or build it (-from source)"
	}
	return text
}

// fetch downloads a release.
func (s *Supervisor) fetch(ctx context.Context, r *runner, d *download, f *obtain.Fetcher) {
	decide := sync.OnceFunc(func() { close(d.decided) })
	begun := time.Now()
	found, err := f.Fetch(ctx, r.Program, d.Release, func(done, total int64) {
		d.done.Store(done)
		d.total.Store(total)
		if !isClosed(d.decided) {
			d.arrives = true
			decide()
		}
	})
	switch {
	case err == nil:
		s.log.Info("fetched", slog.String("component", r.Name), slog.String("archive", d.Archive()), slog.Duration("took", time.Since(begun)))
		if !isClosed(d.decided) { // another lab fetched it meanwhile
			d.arrives = true
		}
		s.take(r, found, FromRelease)
	case ctx.Err() == nil:
		s.log.Warn("not fetched", slog.String("component", r.Name), slog.String("error", err.Error()))
		if errors.Is(err, obtain.ErrWrongSum) && !d.required { // whatever the network is like, this must not pass in silence
			s.set(func() { r.reason = prefixed(r.reason, err.Error()+": it is built") })
		}
		err = errors.New(prefixed(r.reason, err.Error()) + ": " + remedy(r, d))
	}
	d.err = err
	close(d.ended)
	decide()
}

// take uses a program in place of a build.
func (s *Supervisor) take(r *runner, found obtain.Found, from string) {
	s.set(func() { r.found, r.from = found, from })
	close(r.built)
}

// arrives reports whether the runner's program is being downloaded or was: no build is needed,
// unless the download fails later.
func (r *runner) arrives(ctx context.Context) bool {
	if r.download == nil {
		return false
	}
	return wait(ctx, r.download.decided) && r.download.arrives
}

// undelivered waits for the downloads, and returns the runners whose download failed after its
// first byte. They have to be built. The error is that of a download that nothing replaces.
func (s *Supervisor) undelivered(ctx context.Context, runners []*runner) (failed []*runner, err error) {
	for _, r := range runners {
		if !r.arrives(ctx) {
			continue
		}
		select {
		case <-r.download.ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		switch err := r.download.err; {
		case err == nil:
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case r.download.required:
			r.set(Failed, err.Error())
			return nil, err
		default:
			failed = append(failed, r)
			s.set(func() { r.download = nil })
		}
	}
	return failed, nil
}

// webPages returns the URL of the web pages of a program that was not built; "" if it has none.
func (r *runner) webPages(ctx context.Context) string {
	r.s.mu.Lock()
	release := r.found.Release
	r.s.mu.Unlock()
	if !release {
		return ""
	}
	if !probe.HTML(ctx, r.Address+"/") {
		return ""
	}
	return r.Address + "/"
}

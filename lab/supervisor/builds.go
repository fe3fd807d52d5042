package supervisor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
)

// job is the build of one outdated binary.
type job struct {
	*runner
	progress *build.Progress
	listed   chan struct{} // closed when its packages are known
	err      error         // of listing them

	// Guarded by Supervisor.mu.
	packages int64 // that no job before it compiles; 0: not known yet
	done     bool
}

// buildAll builds outdated binaries, and those whose download fails.
func (s *Supervisor) buildAll(ctx context.Context) (err error) {
	for runners := s.runners; len(runners) > 0 && err == nil; {
		if err = s.buildSome(ctx, runners); err == nil {
			runners, err = s.undelivered(ctx, runners)
		}
	}
	return err
}

// buildSome builds outdated binaries by rank: the services first, because they serve without
// the backends, whose builds take minutes. The one that takes longest runs beside the others.
// Meanwhile the modules of all are downloaded, and releases, which are not built.
func (s *Supervisor) buildSome(ctx context.Context, runners []*runner) error {
	var jobs []*job
	for _, r := range runners {
		if isClosed(r.built) || !r.CanBeBuilt() {
			continue
		}
		if r.download == nil && s.build.Fresh(r.Target) {
			s.set(func() { r.from = FromBuild })
			close(r.built)
			continue
		}
		jobs = append(jobs, &job{runner: r, listed: make(chan struct{}), progress: &build.Progress{
			Beside: r.BuildRank == plan.Beside,
			Runs:   func(id proc.ID) { s.set(func() { r.builder = id }) },
		}})
	}
	slices.SortStableFunc(jobs, func(a, b *job) int { return a.BuildRank - b.BuildRank })
	s.set(func() { s.jobs, s.buildsBegun = jobs, time.Now() })
	defer s.set(func() { s.jobs = nil })

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() { s.listAll(ctx, jobs) })
	for _, r := range runners {
		if d := r.download; d != nil && d.required {
			wg.Go(func() { // at once, not after the builds
				if !wait(ctx, d.ended) || d.err == nil || ctx.Err() != nil {
					return
				}
				r.set(Failed, d.err.Error())
				cancel(d.err)
			})
		}
	}
	inTurn := func(jobs []*job) {
		for _, j := range jobs {
			if err := s.buildOne(ctx, j); err != nil {
				cancel(err)
				return
			}
		}
	}
	services := slices.IndexFunc(jobs, func(j *job) bool { return j.BuildRank > 0 })
	beside := slices.IndexFunc(jobs, func(j *job) bool { return j.BuildRank == plan.Beside })
	if beside < 0 {
		beside = len(jobs)
	}
	if services < 0 {
		services = len(jobs)
	}
	inTurn(jobs[:services])
	var lanes sync.WaitGroup
	lanes.Go(func() { inTurn(jobs[services:beside]) })
	lanes.Go(func() { inTurn(jobs[beside:]) })
	lanes.Wait()
	return context.Cause(ctx)
}

// listAll downloads the modules of jobs, and counts what each has to compile.
func (s *Supervisor) listAll(ctx context.Context, jobs []*job) {
	counted := map[string]bool{}
	for i, j := range jobs {
		if j.arrives(ctx) {
			s.set(func() { s.jobs = slices.DeleteFunc(slices.Clone(s.jobs), func(o *job) bool { return o == j }) })
			continue
		}
		var keys []string
		p := &build.Progress{Beside: i > 0, Runs: j.progress.Runs} // the first build waits for its list
		keys, j.err = s.build.List(ctx, j.Target, p)
		s.set(func() {
			j.builder = proc.ID{}
			for _, key := range keys {
				if !counted[key] {
					counted[key] = true
					j.packages++
				}
			}
			j.packages = max(j.packages, 1)
		})
		close(j.listed)
	}
}

func (s *Supervisor) buildOne(ctx context.Context, j *job) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if j.arrives(ctx) {
		return nil
	}
	j.progress.Begun = time.Now()
	s.set(func() { j.runner.progress, j.from = j.progress, FromBuild })
	select {
	case <-j.listed:
	case <-ctx.Done():
		return j.builds(ctx, j.progress, nil)
	}
	err := j.err
	if err == nil {
		j.progress.Listed = j.packages
		err = s.build.Build(ctx, j.Target, j.progress)
	}
	err = j.builds(ctx, j.progress, err)
	if err != nil {
		if ctx.Err() == nil {
			j.set(Failed, errors.Unwrap(err).Error())
		}
		return err
	}
	s.set(func() { j.done = true })
	close(j.built)
	return nil
}

// left returns how long the builds will take, estimated by the packages that are left;
// 0: not known, or nothing is built. s.mu is held.
func (s *Supervisor) left() time.Duration {
	var total, done int64
	for _, j := range s.jobs {
		if j.packages == 0 {
			return 0
		}
		total += j.packages
		if j.done {
			done += j.packages
		} else {
			done += min(j.progress.Done.Load(), j.packages)
		}
	}
	elapsed := time.Since(s.buildsBegun)
	if done == 0 || elapsed < 5*time.Second {
		return 0
	}
	return time.Duration(float64(elapsed) / float64(done) * float64(total-done))
}

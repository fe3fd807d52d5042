package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"soundcheck/lab/plan"
)

// all returns the components, those of the exercise last.
func (s *Supervisor) all() []*runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.runners, s.extras)
}

// beginExercise restarts the components that an exercise changes, and starts those that only it has.
// If one fails, the lab is as before. The changes are in this process only: a lab that starts again
// has none.
func (s *Supervisor) beginExercise(ctx context.Context, e plan.Exercise) error {
	s.exercising.Lock()
	defer s.exercising.Unlock()
	st := s.status()
	switch {
	case e.Name == "":
		return errors.New("the exercise has no name")
	case st.Exercise != "":
		return fmt.Errorf("the exercise %s is active: lab exercise stop ends it", st.Exercise)
	case st.Phase != Up:
		return fmt.Errorf("the lab is %s: wait until it is up", st.Phase)
	}
	if err := s.lab.CanExercise(); err != nil {
		return err
	}
	extras := e.Components(s.lab)
	if err := CheckPorts(extras); err != nil {
		return err
	}
	changes, err := e.Begin(s.lab)
	if err != nil {
		return err
	}
	s.set(func() { s.exercise = e.Name })
	s.log.Info("exercise begins", slog.String("exercise", e.Name))
	if err := s.change(ctx, e, changes, extras); err != nil {
		restored := s.restore(s.running)
		if s.running.Err() != nil {
			return errors.New("the lab is stopping, and the exercise ends with it")
		}
		return errors.Join(err, restored)
	}
	s.set(func() { s.exerciseAt = time.Now() })
	return nil
}

// change applies the changes: stores first, then the others, then the load.
func (s *Supervisor) change(ctx context.Context, e plan.Exercise, changes map[string]plan.Change, extras []plan.Component) error {
	for name := range maps.Keys(changes) {
		if s.find(name) == nil && !slices.ContainsFunc(extras, func(c plan.Component) bool { return c.Name == name }) {
			return fmt.Errorf("the exercise changes %s, which is no component of this lab", name)
		}
	}
	begin := func(withProbe bool) error {
		for _, c := range extras {
			if (c.Ready != "") == withProbe {
				if err := s.startExtra(ctx, c, changes[c.Name]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := begin(true); err != nil {
		return err
	}
	for _, r := range s.runners {
		if c, ok := changes[r.Name]; ok {
			s.set(func() { r.change = c })
			if err := s.restart(ctx, r.Name); err != nil {
				return err
			}
		}
	}
	if err := e.Fill(ctx, s.lab); err != nil {
		return err
	}
	return begin(false)
}

// startExtra builds and starts a component of the exercise, and returns when it is ready.
func (s *Supervisor) startExtra(ctx context.Context, c plan.Component, change plan.Change) error {
	r := newRunner(s, c)
	r.change = change
	running, stop := context.WithCancel(s.running)
	r.stop, r.gone = stop, make(chan error, 1)
	s.set(func() { s.extras = append(s.extras, r) })
	if !s.build.Fresh(r.Target) {
		if err := r.rebuild(ctx); err != nil {
			r.gone <- nil
			return err
		}
	}
	close(r.built)
	go func() { r.gone <- r.run(running) }()
	select {
	case <-r.ready:
		return nil
	case err := <-r.gone:
		r.gone <- nil
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitExtras waits until no goroutine starts a component of the exercise any more. The lab is stopping.
func (s *Supervisor) awaitExtras() {
	s.exercising.Lock()
	defer s.exercising.Unlock()
	for _, r := range s.all()[len(s.runners):] {
		r.gone <- <-r.gone
	}
}

// endExercise returns when the lab is as it was before the exercise.
func (s *Supervisor) endExercise() error {
	s.exercising.Lock()
	defer s.exercising.Unlock()
	if s.status().Exercise == "" {
		return nil
	}
	return s.restore(s.running) // also if the client leaves
}

// restore stops the components of the exercise and restarts the changed ones without the changes. If
// one does not start, the exercise stays active and restore can be called again.
func (s *Supervisor) restore(ctx context.Context) error {
	for _, r := range slices.Backward(s.all()[len(s.runners):]) {
		r.stop()
		err := r.end()
		if err == nil {
			r.gone <- <-r.gone
			err = r.end() // a start that was in progress
		}
		if err != nil {
			return fmt.Errorf("stop %s: %w", r.Name, err)
		}
		s.set(func() { s.extras = s.extras[:len(s.extras)-1] })
	}
	for _, r := range s.runners {
		if len(r.change.Args) == 0 && len(r.change.Env) == 0 {
			continue
		}
		change := r.change
		s.set(func() { r.change = plan.Change{} })
		if err := s.restart(ctx, r.Name); err != nil {
			s.set(func() { r.change = change })
			return err
		}
	}
	name := s.exercise
	s.set(func() { s.exercise, s.exerciseAt = "", time.Time{} })
	s.log.Info("exercise ended", slog.String("exercise", name))
	return plan.Exercise{}.End(s.lab)
}

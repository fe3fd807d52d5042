package exercises

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// symptomTimeout is how long Start waits for the symptom.
const symptomTimeout = 2 * time.Minute

// Session is the active exercise of a lab.
type Session struct {
	*Exercise
	Lab
	Flags string // of commands of this lab: empty, or " -state …"
}

// errNone is the error of commands for the active exercise.
var errNone = errors.New("no exercise is active: lab exercise start begins one")

// Active returns the active exercise of the lab in a state folder.
func Active(ctx context.Context, l plan.Lab, flags string) (*Session, error) {
	client, st, err := supervisor.Connect(ctx, l.State)
	switch {
	case err != nil:
		return nil, err
	case client == nil:
		if name, err := supervisor.Leftover(l.State); err != nil {
			return nil, err
		} else if name != "" {
			return nil, fmt.Errorf("the lab's supervisor was killed during %s: lab exercise stop%s stops what is left of the lab", name, flags)
		}
		return nil, errNone
	case st.Exercise == "":
		return nil, errNone
	case st.ExerciseAt.IsZero():
		return nil, fmt.Errorf("the exercise %s is still starting or stopping", st.Exercise)
	}
	x, err := Named(st.Exercise)
	return session(x, l, st, flags), err
}

func session(x *Exercise, l plan.Lab, st supervisor.Status, flags string) *Session {
	l.Offset, l.Stores = st.PortOffset, st.Stores
	return &Session{x, Lab{l, st.ExerciseAt}, flags}
}

// List writes the exercises and the progress of a lab's user.
func List(l plan.Lab, w io.Writer) error {
	all, err := All()
	if err != nil {
		return err
	}
	progress, err := ReadProgress(l.State)
	if err != nil {
		return err
	}
	active, err := supervisor.Leftover(l.State)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LEVEL\tNAME\tMINUTES\tPROGRESS\tTITLE")
	for _, x := range all {
		state, p := "-", progress[x.Name]
		switch {
		case x.Name == active:
			state = "active"
		case p != nil && !p.SolvedAt.IsZero():
			state = "solved"
		case p != nil:
			state = "started"
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%s\n", x.Level, x.Name, x.Minutes, state, x.Title)
	}
	t.Flush()
	_, err = w.Write(b.Bytes())
	return err
}

// Start begins an exercise on a running lab, waits until its symptom shows, and writes the report. If
// it fails, no exercise is active, unless ctx ends while it waits for the symptom.
func Start(ctx context.Context, client *supervisor.Client, x *Exercise, l plan.Lab, flags string, stdout, stderr io.Writer) error {
	if _, err := ReadProgress(l.State); err != nil { // before something changes
		return err
	}
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if err := session(x, l, st, flags).withoutFaults(ctx, st); err != nil {
		return err
	}
	p := cli.NewProgress(stderr)
	defer p.Clear()
	if err := during(p, "changing the lab", func() error { return client.BeginExercise(ctx, x.Plan()) }); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted; the lab is restored in the background")
		}
		return err
	}
	if err := Record(l.State, x.Name, func(p *Progress) { p.StartedAt, p.Hints = time.Now(), 0 }); err != nil {
		return errors.Join(err, client.EndExercise(ctx))
	}
	var s *Session
	var shown string
	err = during(p, "waiting for the symptom", func() error {
		st, err := client.Status(ctx)
		if err == nil {
			s = session(x, l, st, flags)
			shown, err = x.Await(ctx, s.Lab, symptomTimeout, s.isActive(client))
		}
		return err
	})
	p.Clear()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; the exercise is active: lab exercise stop%s ends it", flags)
	case errors.Is(err, errEnded):
		return err
	case err != nil:
		return errors.Join(err, client.EndExercise(ctx))
	}
	return s.Report(shown, stdout)
}

// errEnded means that another command has ended the exercise.
var errEnded = errors.New("the exercise was stopped before its symptom showed")

// isActive returns a function that returns an error once this exercise is not the active one.
func (s *Session) isActive(client *supervisor.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		st, err := client.Status(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errEnded, err)
		}
		if st.Phase != supervisor.Up || st.Exercise != s.Name || !st.ExerciseAt.Equal(s.Begun) {
			return errEnded
		}
		return nil
	}
}

// withoutFaults returns an error if a fault is active that its user has set: a restart ends it.
func (s *Session) withoutFaults(ctx context.Context, st supervisor.Status) error {
	if st.Exercise != "" || s.CanExercise() != nil {
		return nil // the supervisor refuses it
	}
	for _, service := range []string{plan.StoreName, plan.ProxyName} {
		list, err := s.faults(ctx, service)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			return fmt.Errorf("%s has the fault %s, which the exercise would end: turn it off first (curl -X DELETE %s)", service, strings.Join(list, ", "), s.admin(service))
		}
	}
	return nil
}

// during shows for how long do has been running.
func during(p *cli.Progress, what string, do func() error) error {
	begun, done := time.Now(), make(chan error, 1)
	go func() { done <- do() }()
	for {
		p.Show(fmt.Sprintf("%s, %.0f s", what, time.Since(begun).Seconds()))
		select {
		case err := <-done:
			return err
		case <-time.After(time.Second):
		}
	}
}

// Report writes what the pager says and the questions. Shown is the symptom; empty: without it.
func (s *Session) Report(shown string, w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s (level %d, about %d minutes): %s\n\n%s\n", s.Name, s.Level, s.Minutes, s.Title, s.Expand(s.Exercise.Report))
	if shown != "" {
		fmt.Fprintf(&b, "\nnow: %s\n", shown)
	}
	fmt.Fprint(&b, "\nquestions:\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var form []string
	for _, q := range s.Ask {
		text := q.Text
		if q.Choice != nil {
			text += ": " + strings.Join(q.Choice.Of, ", ")
		}
		fmt.Fprintf(t, "  %s\t%s\n", q.Key, text)
		form = append(form, q.Key+"=…")
	}
	t.Flush()
	fmt.Fprintf(&b, "\nconsole %s, Prometheus' API %s, Jaeger's API %s\n", s.Console(), s.Prometheus(), s.Jaeger())
	fmt.Fprintf(&b, "\n  go run ./lab exercise answer%s %s\n  go run ./lab exercise hint%s     (or solution, show, stop)\n", s.Flags, strings.Join(form, " "), s.Flags)
	_, err := w.Write(b.Bytes())
	return err
}

// Parse parses answers: key=value. A key that is not asked, or is there twice, is an error.
func (s *Session) Parse(words []string) (map[string]string, error) {
	answers := map[string]string{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if _, twice := answers[key]; !ok || twice || value == "" {
			return nil, fmt.Errorf("%q must be key=value, each key once", word)
		}
		if s.question(key) == nil {
			return nil, fmt.Errorf("%s does not ask %q: lab exercise show%s prints the questions", s.Name, key, s.Flags)
		}
		answers[key] = value
	}
	if len(answers) == 0 {
		return nil, fmt.Errorf("no answer: lab exercise show%s prints the questions", s.Flags)
	}
	return answers, nil
}

// Answer checks answers, writes the results, and reports whether all are right. An answer of the
// wrong form is an error and does not count.
func (s *Session) Answer(ctx context.Context, answers map[string]string, w io.Writer) (solved bool, err error) {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	right := 0
	for _, q := range s.Ask {
		answer, ok := answers[q.Key]
		if !ok {
			fmt.Fprintf(t, "%s\tmissing\n", q.Key)
			continue
		}
		switch err := q.Check(ctx, s.Lab, answer); {
		case err == nil:
			right++
			fmt.Fprintf(t, "%s\tright\n", q.Key)
		case errors.As(err, new(Wrong)):
			fmt.Fprintf(t, "%s\t%v\n", q.Key, err)
		default:
			return false, fmt.Errorf("%s: %w", q.Key, err)
		}
	}
	t.Flush()
	solved = right == len(s.Ask)
	if err := Record(s.State, s.Name, func(p *Progress) {
		if p.Answers++; solved && p.SolvedAt.IsZero() {
			p.SolvedAt = time.Now()
		}
	}); err != nil {
		return false, err
	}
	if solved {
		fmt.Fprintf(&b, "\n%s is solved. Remember:\n\n%s\n\nlab exercise stop%s ends it.\n", s.Name, strings.TrimSpace(s.Remember), s.Flags)
	} else {
		fmt.Fprintf(&b, "\n%d of %d right; lab exercise hint%s helps.\n", right, len(s.Ask), s.Flags)
	}
	_, err = w.Write(b.Bytes())
	return solved, err
}

// Hint writes the hints up to the next one.
func (s *Session) Hint(w io.Writer) error {
	n := 0
	if err := Record(s.State, s.Name, func(p *Progress) { p.Hints = min(p.Hints+1, len(s.Hints)); n = p.Hints }); err != nil {
		return err
	}
	for i, hint := range s.Hints[:n] {
		if _, err := fmt.Fprintf(w, "hint %d of %d: %s\n", i+1, len(s.Hints), strings.TrimSpace(hint)); err != nil {
			return err
		}
	}
	return nil
}

// WriteSolution writes the solution with its results on this lab, and the command that answers.
func (s *Session) WriteSolution(ctx context.Context, w io.Writer) error {
	answers, err := s.Solve(ctx, s.Lab, w)
	if err != nil {
		return err
	}
	if err := Record(s.State, s.Name, func(p *Progress) { p.Solution = p.Solution || p.SolvedAt.IsZero() }); err != nil {
		return err
	}
	line := "go run ./lab exercise answer" + s.Flags
	for _, key := range slices.Sorted(maps.Keys(answers)) {
		line += " " + cli.Quote(key+"="+answers[key])
	}
	_, err = fmt.Fprintln(w, line)
	return err
}

// Stop ends the active exercise. If the supervisor was killed meanwhile, it stops what is left of the lab.
func Stop(ctx context.Context, l plan.Lab, stdout, stderr io.Writer) error {
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil {
		return err
	}
	if client == nil {
		name, err := supervisor.Leftover(l.State)
		if err != nil {
			return err
		}
		if name == "" {
			return errors.New("no exercise is active")
		}
		if _, err := supervisor.Sweep(l.State); err != nil {
			return err
		}
		if err := (plan.Exercise{}).End(l); err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "%s ended and the lab is down, because its supervisor had been killed: lab up -again starts it\n", name)
		return err
	}
	if st.Exercise == "" {
		return errors.New("no exercise is active")
	}
	p := cli.NewProgress(stderr)
	defer p.Clear()
	if err := during(p, "restoring the lab", func() error { return client.EndExercise(ctx) }); err != nil {
		return err
	}
	p.Clear()
	_, err = fmt.Fprintf(stdout, "%s ended; the lab is as before, with its own albums\n", st.Exercise)
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"soundcheck/internal/cli"
	"soundcheck/lab/exercises"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

const exerciseUsage = `usage: lab exercise COMMAND [flags]

commands:
  list      show the exercises and your progress
  start     change the lab, start the load, show the report: lab exercise start name
  show      show the report and the questions again
  answer    check answers against the lab: lab exercise answer key=value ...
  hint      show the next hint
  solution  show how to find the answers, with the results of this lab
  stop      end the exercise; the lab is as before

"lab exercise COMMAND -h" shows the flags of a command.
`

func exercise(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	commands := map[string]command{"list": listExercises, "start": startExercise, "show": showExercise, "answer": answerExercise,
		"hint": hintExercise, "solution": solveExercise, "stop": stopExercise}
	if len(args) == 0 {
		return cli.Usage("exercise: which command?", exerciseUsage)
	}
	if c, ok := commands[args[0]]; ok {
		return c(ctx, args[1:], getenv, stdout, stderr)
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		_, err := io.WriteString(stdout, exerciseUsage)
		return err
	}
	return cli.Usage(fmt.Sprintf("exercise: unknown command %q", args[0]), exerciseUsage)
}

func listExercises(_ context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := newFlags("lab exercise list [flags]", "Show the exercises and your progress.")
	l, _, err := parse(f, args, getenv, stdout)
	if err != nil {
		return err
	}
	return exercises.List(l, stdout)
}

func startExercise(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab exercise start [flags] name", "Change the lab for an exercise and start its load. Starts the lab if it is down.").withOffset()
	words, err := f.ParseMixed(args, getenv, stdout)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return f.Errorf("name one exercise: lab exercise list shows them")
	}
	x, err := exercises.Named(words[0])
	if err != nil {
		return err
	}
	l, _, err := f.lab()
	if err != nil {
		return err
	}
	client, st, err := supervisor.Connect(ctx, l.State)
	if err != nil {
		return err
	}
	if client != nil && l.Offset != 0 && l.Offset != st.PortOffset {
		return fmt.Errorf("the lab in %s runs with -port-offset %d, not %d: select another lab with -state", l.State, st.PortOffset, l.Offset)
	}
	if client == nil {
		fmt.Fprintln(stderr, "the lab is not running: starting it")
		if err := up(ctx, []string{"-state", l.State, "-port-offset", strconv.Itoa(l.Offset)}, getenv, io.Discard, stderr); err != nil {
			return err
		}
		if client, _, err = supervisor.Connect(ctx, l.State); err != nil {
			return err
		} else if client == nil {
			return errors.New("the lab stopped again: lab status shows why")
		}
	}
	return exercises.Start(ctx, client, x, l, stateFlag(l), stdout, stderr)
}

// stateFlag is the flag that commands of this lab need.
func stateFlag(l plan.Lab) string {
	if l.State == ownState(l.Root) {
		return ""
	}
	return " -state " + cli.Quote(l.State)
}

// activeExercise parses the flags of a command for the active exercise, and returns its arguments.
func activeExercise(ctx context.Context, f *flags, args []string, getenv func(string) string, stdout io.Writer) (*exercises.Session, []string, error) {
	words, err := f.ParseMixed(args, getenv, stdout)
	if err != nil {
		return nil, nil, err
	}
	l, _, err := f.lab()
	if err != nil {
		return nil, nil, err
	}
	s, err := exercises.Active(ctx, l, stateFlag(l))
	return s, words, err
}

func showExercise(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := newFlags("lab exercise show [flags]", "Show the report and the questions of the active exercise again.")
	s, words, err := activeExercise(ctx, f, args, getenv, stdout)
	if err = noWords(f, words, err); err != nil {
		return err
	}
	return s.Report("", stdout)
}

// noWords returns err, or a usage error if there are arguments.
func noWords(f *flags, words []string, err error) error {
	if err == nil && len(words) > 0 {
		return f.Errorf("unexpected argument %q", words[0])
	}
	return err
}

func answerExercise(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := newFlags("lab exercise answer [flags] key=value ...", "Check answers against the lab. Exit code 1 if one is wrong or missing.")
	s, words, err := activeExercise(ctx, f, args, getenv, stdout)
	if err != nil {
		return err
	}
	answers, err := s.Parse(words)
	if err != nil {
		return f.Errorf("%v", err)
	}
	if solved, err := s.Answer(ctx, answers, stdout); err != nil || solved {
		return err
	}
	return cli.ErrSaid
}

func hintExercise(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := newFlags("lab exercise hint [flags]", "Show the next hint of the active exercise.")
	s, words, err := activeExercise(ctx, f, args, getenv, stdout)
	if err = noWords(f, words, err); err != nil {
		return err
	}
	return s.Hint(stdout)
}

func solveExercise(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := newFlags("lab exercise solution [flags]", "Show how to find the answers, with the results of this lab.")
	s, words, err := activeExercise(ctx, f, args, getenv, stdout)
	if err = noWords(f, words, err); err != nil {
		return err
	}
	return s.WriteSolution(ctx, stdout)
}

func stopExercise(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab exercise stop [flags]", "End the active exercise, and restart what it changed.")
	l, _, err := parse(f, args, getenv, stdout)
	if err != nil {
		return err
	}
	return exercises.Stop(ctx, l, stdout, stderr)
}

// Package cli is the frame of every program: signals, flags, exit codes.
//
// Exit codes: 0 done, or help was asked for; 1 the work failed; 2 wrong usage; others
// are a program's own.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"soundcheck/internal/version"
)

// Run is what a program does with the outside world that it is given.
type Run func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error

// Main runs a program and exits, or prints its version if its only argument is -version. The first SIGINT or SIGTERM ends ctx, so that
// run can end in order; the second one ends the process at once.
func Main(name string, run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(Code(name, os.Stderr, withVersion(name, run)(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)))
}

// withVersion adds -version to a program, whatever commands it has.
func withVersion(name string, run Run) Run {
	return func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
		if len(args) == 1 && (args[0] == "-version" || args[0] == "--version") {
			_, err := fmt.Fprintln(stdout, version.Line(name))
			return err
		}
		return run(ctx, args, getenv, stdout, stderr)
	}
}

// Code reports err on stderr, if there is anything to report, and returns the
// exit code that it stands for.
func Code(name string, stderr io.Writer, err error) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s\n\n%s", name, usage.message, usage.text)
		return 2
	}
	var said *saidError
	if !errors.As(err, &said) {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
	}
	var own *codeError
	if errors.As(err, &own) {
		return own.code
	}
	return 1
}

type codeError struct {
	error
	code int
}

// Unwrap returns the error without the code.
func (e *codeError) Unwrap() error { return e.error }

// WithCode gives an error an exit code of its own.
func WithCode(code int, err error) error { return &codeError{err, code} }

type usageError struct{ message, text string }

func (e *usageError) Error() string { return e.message }

// Usage returns an error that is shown with the usage text and ends in exit code 2.
func Usage(message, text string) error { return &usageError{message, text} }

type saidError struct{}

func (*saidError) Error() string { return "failed" }

// ErrSaid ends a program with exit code 1 and no message, because what went
// wrong has been shown already.
var ErrSaid error = &saidError{}

// Flags is a flag set whose every flag takes its default from the environment
// variable PREFIX_NAME, if that is set, and whose errors are usage errors.
type Flags struct {
	*flag.FlagSet
	prefix string
	about  string
}

// Defaulter is a flag's value that adds up. It is told that what it has been set to so
// far is a default, from the environment: the next Set takes its place.
type Defaulter interface{ Default() }

// NewFlags returns the flags of a program. Usage is its first usage line, about
// says what it does.
func NewFlags(usage, prefix, about string) *Flags {
	f := &Flags{flag.NewFlagSet(usage, flag.ContinueOnError), prefix, about}
	f.SetOutput(io.Discard)
	return f
}

// Parse reads the environment and then args. It returns flag.ErrHelp after -h,
// having written the help to stdout, or a usage error.
func (f *Flags) Parse(args []string, getenv func(string) string, stdout io.Writer) error {
	var err error
	f.VisitAll(func(fl *flag.Flag) {
		name := f.env(fl)
		value := getenv(name)
		if value == "" || err != nil {
			return
		}
		if e := fl.Value.Set(value); e != nil {
			err = f.Errorf("invalid value %q for environment variable %s: %v", value, name, e)
		}
		if d, ok := fl.Value.(Defaulter); ok {
			d.Default()
		}
	})
	if err != nil {
		return err
	}
	err = f.FlagSet.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, f.Help())
		return err
	}
	if err != nil {
		return f.Errorf("%v", err)
	}
	return nil
}

// NoArgs returns a usage error if anything stands behind the flags.
func (f *Flags) NoArgs() error {
	if f.NArg() > 0 {
		return f.Errorf("unexpected argument %q", f.Arg(0))
	}
	return nil
}

// Errorf returns an error that is shown with the usage and ends in exit code 2.
func (f *Flags) Errorf(format string, args ...any) error {
	return Usage(fmt.Sprintf(format, args...), f.Help())
}

// Help is the text of -h.
func (f *Flags) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n", f.Name())
	if f.about != "" {
		fmt.Fprintf(&b, "%s\n", f.about)
	}
	n := 0
	f.VisitAll(func(*flag.Flag) { n++ })
	if n > 0 {
		fmt.Fprintf(&b, "\nflags (%s_NAME in the environment sets the default of -name):\n", f.prefix)
		f.SetOutput(&b)
		f.PrintDefaults()
		f.SetOutput(io.Discard)
	}
	return b.String()
}

func (f *Flags) env(fl *flag.Flag) string {
	return f.prefix + "_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
}

// Package cli runs every program: signals, flags, exit codes.
//
// Exit codes: 0 success, -h or -version; 1 failure; 2 wrong usage; a program may define
// others.
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

// Run is a program's main function. Everything outside the program is an argument.
type Run func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error

// Main runs a program and exits, or prints its version if its only argument is -version.
// The first SIGINT, SIGTERM or SIGHUP (a closed terminal, unless nohup ignores it) cancels ctx and lets run shut down.
// A second SIGINT or SIGTERM kills the process; a second SIGHUP, which a shell sends on closing too, does not.
func Main(name string, run Run) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP)
		stop()
	})
	os.Exit(Code(name, os.Stderr, withVersion(name, run)(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)))
}

// withVersion adds -version to a program.
func withVersion(name string, run Run) Run {
	return func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
		if len(args) == 1 && (args[0] == "-version" || args[0] == "--version") {
			_, err := fmt.Fprintln(stdout, version.Line(name))
			return err
		}
		return run(ctx, args, getenv, stdout, stderr)
	}
}

// Code prints err on stderr, unless it was reported already, and returns its exit code.
func Code(name string, stderr io.Writer, err error) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s\n%s", name, usage.message, usage.help)
		return 2
	}
	var reported *reportedError
	if !errors.As(err, &reported) {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
	}
	var coded *codeError
	if errors.As(err, &coded) {
		return coded.code
	}
	return 1
}

type codeError struct {
	error
	code int
}

// Unwrap returns the error without the code.
func (e *codeError) Unwrap() error { return e.error }

// WithCode sets the exit code of an error.
func WithCode(code int, err error) error { return &codeError{err, code} }

type usageError struct{ message, help string }

func (e *usageError) Error() string { return e.message }

// Usage returns an error with exit code 2 that is printed with a text, such as a list of
// commands.
func Usage(message, text string) error { return &usageError{message, "\n" + text} }

type reportedError struct{}

func (*reportedError) Error() string { return "failed" }

// ErrSaid ends a program with exit code 1 and no message: the program has printed the
// failure already.
var ErrSaid error = &reportedError{}

// Flags is a flag set. The environment variable PREFIX_NAME sets the default of the flag
// -name. Its errors are usage errors.
type Flags struct {
	*flag.FlagSet
	prefix string
	about  string
}

// Defaulter is a flag.Value that accumulates values. Default marks the values so far as the
// default from the environment: the next Set replaces them.
type Defaulter interface{ Default() }

// NewFlags returns the flags of a program. Usage is its usage line, about its description.
func NewFlags(usage, prefix, about string) *Flags {
	f := &Flags{flag.NewFlagSet(usage, flag.ContinueOnError), prefix, about}
	f.SetOutput(io.Discard)
	return f
}

// Parse reads the environment and then args. After -h it writes the help to stdout and
// returns flag.ErrHelp. Other errors are usage errors.
func (f *Flags) Parse(args []string, getenv func(string) string, stdout io.Writer) error {
	var err error
	f.VisitAll(func(fl *flag.Flag) {
		name := f.env(fl)
		value := getenv(name)
		if value == "" || err != nil {
			return
		}
		if e := fl.Value.Set(value); e != nil {
			err = f.Errorf("%v", invalid(fl.Value, name, "environment variable "+name, value, e))
		}
		if d, ok := fl.Value.(Defaulter); ok {
			d.Default()
		}
	})
	if err != nil {
		return err
	}
	return f.parse(args, stdout)
}

// ParseMixed is Parse for arguments before and between the flags. It returns them.
func (f *Flags) ParseMixed(args []string, getenv func(string) string, stdout io.Writer) (words []string, err error) {
	for err = f.Parse(args, getenv, stdout); err == nil && f.NArg() > 0; err = f.parse(f.Args()[1:], stdout) {
		words = append(words, f.Arg(0))
	}
	return words, err
}

func (f *Flags) parse(args []string, stdout io.Writer) error {
	var bad error
	f.VisitAll(func(fl *flag.Flag) { fl.Value = checked{fl.Value, fl.Name, &bad} })
	err := f.FlagSet.Parse(args)
	f.VisitAll(func(fl *flag.Flag) { fl.Value = fl.Value.(checked).Value })
	if bad != nil {
		err = bad
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, f.Help())
		return err
	}
	if err != nil {
		return f.Errorf("%v", err)
	}
	return nil
}

// NoArgs returns a usage error if there are arguments after the flags.
func (f *Flags) NoArgs() error {
	if f.NArg() > 0 {
		return f.Errorf("unexpected argument %q", f.Arg(0))
	}
	return nil
}

// Errorf returns an error with exit code 2 that is printed with a pointer to -h.
func (f *Flags) Errorf(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), fmt.Sprintf("run \"%s -h\" for help\n", f.program())}
}

// program returns the program and its command: the words of the usage line up to the first
// placeholder.
func (f *Flags) program() string {
	var words []string
	for _, word := range strings.Fields(f.Name()) {
		if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// Help is the text of -h.
func (f *Flags) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n", f.Name())
	if f.about != "" {
		fmt.Fprintf(&b, "%s\n", f.about)
	}
	var first *flag.Flag
	f.VisitAll(func(fl *flag.Flag) {
		if first == nil {
			first = fl
		}
	})
	if first != nil {
		fmt.Fprintf(&b, "\nflags (environment variables set their defaults, such as %s for -%s):\n", f.env(first), first.Name)
		f.SetOutput(&b)
		f.PrintDefaults()
		f.SetOutput(io.Discard)
	}
	return b.String()
}

func (f *Flags) env(fl *flag.Flag) string {
	return f.prefix + "_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"testing"
	"time"

	"soundcheck/internal/version"
)

func TestCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"done", nil, 0, ""},
		{"help", flag.ErrHelp, 0, ""},
		{"failed", errors.New("no disk"), 1, "prog: no disk\n"},
		{"failed, already reported", fmt.Errorf("up: %w", ErrSaid), 1, ""},
		{"usage", Usage("what?", "usage: prog\n"), 2, "prog: what?\n\nusage: prog\n"},
		{"wrapped usage", fmt.Errorf("x: %w", Usage("what?", "usage: prog\n")), 2, "prog: what?\n\nusage: prog\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			if code := Code("prog", &stderr, tt.err); code != tt.code || stderr.String() != tt.want {
				t.Errorf("Code() = %d, %q, want %d, %q", code, stderr.String(), tt.code, tt.want)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	var ran []string
	run := withVersion("prog", func(_ context.Context, args []string, _ func(string) string, _, _ io.Writer) error {
		ran = args
		return nil
	})
	for _, args := range [][]string{{"-version"}, {"--version"}} {
		stdout.Reset()
		if err := run(t.Context(), args, nil, &stdout, nil); err != nil || stdout.String() != version.Line("prog")+"\n" || ran != nil {
			t.Errorf("%q: %v, stdout %q, ran with %q, want only the version", args, err, stdout.String(), ran)
		}
	}
	// The value of a flag may look the same.
	if err := run(t.Context(), []string{"-name", "-version"}, nil, &stdout, nil); err != nil || len(ran) != 2 {
		t.Errorf("ran with %q, %v, want both arguments", ran, err)
	}
}

// A usage error names the command whose -h helps.
func TestProgram(t *testing.T) {
	t.Parallel()
	for usage, want := range map[string]string{
		"store [flags]\n       store migrate up|down [flags]": "store",
		"store migrate up|down [flags]":                       "store migrate",
		"loadgen compare [flags] A B":                         "loadgen compare",
		"loadgen ab -a URL -b URL [flags]":                    "loadgen ab",
	} {
		if got := NewFlags(usage, "X", "").program(); got != want {
			t.Errorf("program of %q = %q, want %q", usage, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	const help = `usage: prog [flags]
Does things.

flags (environment variables set their defaults, such as PROG_WAIT_TIME for -wait-time):
  -wait-time long
    	wait this long (default 1s)
`
	for _, tt := range []struct {
		name   string
		args   []string
		env    string
		want   time.Duration
		err    string
		stdout string
	}{
		{"default", nil, "", time.Second, "", ""},
		{"flag", []string{"-wait-time", "2s"}, "", 2 * time.Second, "", ""},
		{"environment", nil, "3s", 3 * time.Second, "", ""},
		{"the flag wins", []string{"-wait-time=2s"}, "3s", 2 * time.Second, "", ""},
		{"the later flag wins", []string{"-wait-time=2s", "--wait-time", "4s"}, "", 4 * time.Second, "", ""},
		{"bad flag", []string{"-wait-time", "soon"}, "", 0, `-wait-time: "soon" is not a duration such as 30s or 5m`, ""},
		{"bad environment", nil, "soon", 0, `PROG_WAIT_TIME: "soon" is not a duration such as 30s or 5m`, ""},
		{"unknown flag", []string{"-x"}, "", 0, "flag provided but not defined: -x", ""},
		{"argument", []string{"x"}, "", 0, `unexpected argument "x"`, ""},
		{"help", []string{"-h"}, "", 0, flag.ErrHelp.Error(), help},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := NewFlags("prog [flags]", "PROG", "Does things.")
			wait := f.Duration("wait-time", time.Second, "wait this `long`")
			getenv := func(name string) string {
				if name == "PROG_WAIT_TIME" {
					return tt.env
				}
				return ""
			}
			var stdout bytes.Buffer
			err := f.Parse(tt.args, getenv, &stdout)
			if err == nil {
				err = f.NoArgs()
			}
			switch {
			case tt.err == "" && (err != nil || *wait != tt.want):
				t.Errorf("Parse() = %v, %s, want %s", err, *wait, tt.want)
			case tt.err != "" && (err == nil || err.Error() != tt.err):
				t.Errorf("Parse() = %v, want %s", err, tt.err)
			}
			if stdout.String() != tt.stdout {
				t.Errorf("stdout:\n%s, want\n%s", stdout.String(), tt.stdout)
			}
			if err != nil && err != flag.ErrHelp {
				var stderr bytes.Buffer
				want := "prog: " + tt.err + "\nrun \"prog -h\" for help\n"
				if code := Code("prog", &stderr, err); code != 2 || stderr.String() != want {
					t.Errorf("Code() = %d, %q, want 2, %q", code, stderr.String(), want)
				}
			}
		})
	}
}

// Errors say what a value of the type is.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ arg, want string }{
		{"-wait=5", `-wait: "5" is not a duration such as 30s or 5m`},
		{"-seed=-1", `-seed: "-1" is not a whole number, 0 or more`},
		{"-seed=1e3", `-seed: "1e3" is not a whole number, 0 or more`},
		{"-seed=18446744073709551616", `-seed: 18446744073709551616 is out of range`},
		{"-count=1e3", `-count: "1e3" is not a whole number, 0 or more`},
		{"-offset=abc", `-offset: "abc" is not a whole number such as 10`},
		{"-share=x", `-share: "x" is not a number such as 0.5`},
		{"-quiet=maybe", `-quiet: "maybe" is not true or false`},
		{"-other=x", `invalid value "x" for flag -other: not a colour`},
	} {
		f := NewFlags("prog [flags]", "PROG", "")
		f.Duration("wait", 0, "")
		f.Uint64("seed", 0, "")
		f.Uint("count", 0, "")
		f.Int("offset", 0, "")
		f.Float64("share", 0, "")
		f.Bool("quiet", false, "")
		f.Func("other", "", func(string) error { return errors.New("not a colour") })
		if err := f.Parse([]string{"-quiet", tt.arg}, func(string) string { return "" }, io.Discard); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.arg, err, tt.want)
		}
	}
}

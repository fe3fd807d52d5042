package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/compare"
	"soundcheck/loadgen/report"
)

// comparison are the flags of a comparison.
type comparison struct {
	tolerance percent
	format    string
	out       string // directory; "": none
}

func (o *comparison) define(f *cli.Flags) {
	o.tolerance = 0.05
	f.Var(&o.tolerance, "tolerance", "accepted regression, as a `share` of A's value (0% to 100%)")
	f.StringVar(&o.format, "format", "text", "output format: "+comparisonFormats)
	f.StringVar(&o.out, "out", "", "output `directory` for the result as text, JSON and markdown")
}

// comparisonFormats are the formats of a comparison.
const comparisonFormats = "`text`, json, markdown or github"

// comparisonWriters write a comparison, by format.
var comparisonWriters = map[string]func(*compare.Result, io.Writer) error{
	"text":     (*compare.Result).Write,
	"json":     (*compare.Result).WriteJSON,
	"markdown": (*compare.Result).WriteMarkdown,
	"github":   (*compare.Result).WriteGitHub,
}

// check checks the format.
func (o *comparison) check(f *cli.Flags) error {
	if comparisonWriters[o.format] == nil {
		return f.Errorf("-format %q is not %s", o.format, plain(comparisonFormats))
	}
	return nil
}

// open creates the directory.
func (o *comparison) open() error {
	if o.out == "" {
		return nil
	}
	if err := compare.Prepare(o.out); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return nil
}

// write writes the result to stdout and to the directory.
func (o *comparison) write(r *compare.Result, stdout io.Writer) error {
	err := comparisonWriters[o.format](r, stdout)
	if o.out != "" {
		err = errors.Join(err, r.WriteFiles(o.out))
	}
	return err
}

// percent is a share, formatted as in 5%.
type percent float64

func (p *percent) String() string {
	return strconv.FormatFloat(math.Round(1e9*float64(*p))/1e7, 'g', -1, 64) + "%"
}

// Set parses a percentage.
func (p *percent) Set(s string) error {
	number, ok := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case !ok || err != nil:
		return errors.New("not a percentage, as in 5%")
	case !(v >= 0 && v <= 100):
		return errors.New("out of range: 0% to 100%")
	}
	*p = percent(v / 100)
	return nil
}

// runCompare compares two stored runs.
func runCompare(args []string, getenv func(string) string, stdout io.Writer) error {
	f := cli.NewFlags("loadgen compare [flags] A B", prefix+"_COMPARE",
		"Compares run B with the baseline run A (directories): p50, p99, goodput.\nExit codes: 0 same or better; 3 regressed; 5 inconclusive.")
	var o comparison
	o.define(f)
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := o.check(f); err != nil {
		return err
	}
	if err := folders(f); err != nil {
		return err
	}
	if f.NArg() != 2 {
		return f.Errorf("expected two directories, as in loadgen compare .lab/runs/1 .lab/runs/2")
	}
	a, err := report.Read(f.Arg(0))
	if err != nil {
		return err
	}
	b, err := report.Read(f.Arg(1))
	if err != nil {
		return err
	}
	if err := o.open(); err != nil {
		return err
	}
	r, err := compare.Reports(a, b, float64(o.tolerance))
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := o.write(r, stdout); err != nil {
		return err
	}
	return conclude(r)
}

// conclude returns an error with the exit code of the verdict.
func conclude(r *compare.Result) error {
	switch r.Verdict {
	case compare.Regressed:
		return cli.WithCode(codeViolated, errors.New(r.Summary()))
	case compare.Inconclusive:
		return cli.WithCode(codeInconclusive, errors.New(r.Summary()))
	}
	return nil
}

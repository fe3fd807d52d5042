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

// comparison is how two are compared, and how that is shown.
type comparison struct {
	tolerance percent
	format    string
}

func (o *comparison) define(f *cli.Flags) {
	o.tolerance = 0.05
	f.Var(&o.tolerance, "tolerance", "what B may be worse by: a `share` of A's value (0% to 100%)")
	f.StringVar(&o.format, "format", "text", "of the result: "+resultFormats)
}

// percent is a share that is written as in 5%.
type percent float64

func (p *percent) String() string {
	return strconv.FormatFloat(math.Round(1e9*float64(*p))/1e7, 'g', -1, 64) + "%"
}

// Set reads it.
func (p *percent) Set(s string) error {
	number, ok := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case !ok || err != nil:
		return errors.New("that is not a share as in 5%")
	case !(v >= 0 && v <= 100):
		return errors.New("that is out of range: 0% to 100%")
	}
	*p = percent(v / 100)
	return nil
}

// runCompare compares two runs that were kept.
func runCompare(args []string, getenv func(string) string, stdout io.Writer) error {
	f := cli.NewFlags("loadgen compare [flags] A B", prefix+"_COMPARE",
		"Says whether the run in folder B is slower than the one in A, the baseline, or better.\nExit codes: 0 it is not; 3 it regressed; 5 nobody can tell.")
	var o comparison
	o.define(f)
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := checkResultFormat(f, o.format); err != nil {
		return err
	}
	if err := folders(f); err != nil {
		return err
	}
	if f.NArg() != 2 {
		return f.Errorf("give two folders, as in loadgen compare .lab/runs/1 .lab/runs/2")
	}
	a, err := report.Read(f.Arg(0))
	if err != nil {
		return err
	}
	b, err := report.Read(f.Arg(1))
	if err != nil {
		return err
	}
	r, err := compare.Reports(a, b, float64(o.tolerance))
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := writeResult(r, o.format, stdout); err != nil {
		return err
	}
	return conclude(r)
}

// conclude is nil if B may take the place of A.
func conclude(r *compare.Result) error {
	switch r.Answer {
	case compare.Regressed:
		return cli.WithCode(codeViolated, errors.New(r.Summary()))
	case compare.Inconclusive:
		return cli.WithCode(codeInconclusive, errors.New(r.Summary()))
	}
	return nil
}

package main

import (
	"io"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/report"
)

// runReport prints the report of a stored run.
func runReport(args []string, getenv func(string) string, stdout io.Writer) error {
	f := cli.NewFlags("loadgen report [flags] DIR", prefix+"_REPORT", "Prints the report of a stored run (-out, or .lab/runs).")
	format := f.String("format", "text", "report format: "+formats+"; or csv: raw results")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if *format != "csv" {
		if err := checkFormat(f, *format); err != nil {
			return err
		}
	}
	if err := folders(f); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return f.Errorf("expected one directory, as in loadgen report .lab/runs/1")
	}
	if *format == "csv" {
		return report.WriteResults(f.Arg(0), stdout)
	}
	r, err := report.Read(f.Arg(0))
	if err != nil {
		return err
	}
	return writers[*format](r, stdout)
}

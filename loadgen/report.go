package main

import (
	"io"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/report"
)

// runReport shows the report of a run that -out wrote.
func runReport(args []string, getenv func(string) string, stdout io.Writer) error {
	f := cli.NewFlags("loadgen report [flags] FOLDER", prefix+"_REPORT", "Shows the report of a run again.")
	format := f.String("format", "text", formats)
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := checkFormat(f, *format); err != nil {
		return err
	}
	if err := folders(f); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return f.Errorf("give one folder, as in loadgen report .lab/runs/1")
	}
	r, err := report.Read(f.Arg(0))
	if err != nil {
		return err
	}
	return writers[*format](r, stdout)
}

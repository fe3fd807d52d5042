package main

import (
	"errors"
	"fmt"
	"io"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/report"
)

// runMerge merges the reports of several runs.
func runMerge(args []string, getenv func(string) string, stdout io.Writer) error {
	f := cli.NewFlags("loadgen merge [flags] DIR...", prefix+"_MERGE", "Merges the runs of several machines. Percentiles are exact: histograms are merged.\nExit codes as of loadgen.")
	format := f.String("format", "text", "report format: "+formats)
	out := f.String("out", "", "output `directory` for report and histograms; must not contain a run")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := checkFormat(f, *format); err != nil {
		return err
	}
	if err := folders(f); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return f.Errorf("expected directories of runs, as in loadgen merge runs/1 runs/2")
	}
	var reports []*report.Report
	for _, folder := range f.Args() {
		r, err := report.Read(folder)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	r, err := report.Merge(reports)
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if *out != "" {
		folder, err := report.NewFolder(*out, false)
		if err != nil {
			return fmt.Errorf("-out: %w", err)
		}
		if err := folder.Finish(r); err != nil {
			return err
		}
	}
	return errors.Join(writers[*format](r, stdout), verdict(r, false))
}

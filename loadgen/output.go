package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/report"
)

// output are the flags of the report's format and files.
type output struct {
	format string
	out    string // run directory; "": none
	keep   string // history directory; "": none
	kept   []*report.Folder
}

// writers write a report, by format.
var writers = map[string]func(*report.Report, io.Writer) error{
	"text":     (*report.Report).Write,
	"json":     (*report.Report).WriteJSON,
	"markdown": (*report.Report).WriteMarkdown,
	"html":     (*report.Report).WriteHTML,
	"junit":    (*report.Report).WriteJUnit,
	"github":   (*report.Report).WriteGitHub,
}

const formats = "`text`, json, markdown, html, junit or github"

func (o *output) define(f *cli.Flags) {
	f.StringVar(&o.format, "format", "text", "report format: "+formats)
	f.StringVar(&o.out, "out", "", "output `directory` for report, histograms and raw results; must not contain a run")
	f.StringVar(&o.keep, "keep", ".lab/runs", "run history `directory` (last 50 runs), if its parent exists; '': none")
}

func (o *output) apply(f *cli.Flags) error {
	return checkFormat(f, o.format)
}

func checkFormat(f *cli.Flags, format string) error {
	if writers[format] == nil {
		return f.Errorf("-format %q is not %s", format, plain(formats))
	}
	return nil
}

// resultFormats are the formats of a search.
const resultFormats = "`text` or json"

func checkResultFormat(f *cli.Flags, format string) error {
	if format != "text" && format != "json" {
		return f.Errorf("-format %q is not %s", format, plain(resultFormats))
	}
	return nil
}

// writeResult writes the result of a search.
func writeResult(r interface {
	Write(io.Writer) error
	WriteJSON(io.Writer) error
}, format string, stdout io.Writer) error {
	if format == "json" {
		return r.WriteJSON(stdout)
	}
	return r.Write(stdout)
}

func plain(s string) string { return regexp.MustCompile("`").ReplaceAllString(s, "") }

// open creates the directories. Results: this process has the raw results.
func (o *output) open(c *engine.Config, results bool) error {
	if err := o.openOut(c, results); err != nil {
		return err
	}
	return o.openKeep(c.RunID)
}

func (o *output) openOut(c *engine.Config, results bool) (err error) {
	if o.out == "" {
		return nil
	}
	if c.Folder, err = report.NewFolder(o.out, results); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	o.kept = append(o.kept, c.Folder)
	return nil
}

func (o *output) openKeep(runID string) error {
	if o.keep == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(o.keep)); err != nil {
		return nil
	}
	f, err := report.NewFolder(filepath.Join(o.keep, runID), false)
	if err != nil {
		return fmt.Errorf("-keep: %w", err)
	}
	o.kept = append(o.kept, f)
	return report.Prune(o.keep)
}

// watch makes the directories store the progress of the run, beside what shows it.
func (o *output) watch(c *engine.Config, name string) error {
	for _, f := range o.kept {
		if err := f.Watch(name, c.URL); err != nil {
			return err
		}
	}
	show := c.Progress
	c.Progress = func(p engine.Progress) {
		show(p)
		o.progress(snapshot(p))
	}
	return nil
}

// store writes a file beside each report.
func (o *output) store(name string, b []byte) (err error) {
	for _, f := range o.kept {
		err = errors.Join(err, f.Write(name, b))
	}
	return err
}

// progress stores a snapshot. A full disk must not end the run; the report will say it.
func (o *output) progress(p report.Progress) {
	for _, f := range o.kept {
		_ = f.Progress(p)
	}
}

// analysing is the last snapshot of a run that has sent its requests.
func (o *output) analysing(r *report.Report) {
	o.progress(report.Progress{At: time.Now(), Phase: report.Analysing, Elapsed: r.Elapsed, Duration: r.Elapsed, Requests: r.Sent, Classes: r.Classes, P99All: r.Response.P99})
}

// snapshot is the progress in a report's units.
func snapshot(p engine.Progress) report.Progress {
	s := report.Progress{At: time.Now(), Phase: report.Running, StartsIn: p.Starts.Seconds(), Elapsed: max(p.Elapsed, 0).Seconds(), Duration: p.Duration.Seconds(),
		RateTarget: p.RateTarget, RateActual: float64(p.Last.Requests) / max(p.Last.Seconds, 0.001), P50: p.Last.P50.Seconds(), P99: p.Last.P99.Seconds(), SendDelay: p.Last.SendDelay.Seconds(),
		InFlight: p.InFlight, Users: p.Users, Requests: p.Requests, Classes: p.Classes, P99All: p.P99.Seconds()}
	if p.Starts > 0 {
		s.Phase = report.Begins
	}
	return s
}

// discard removes the directories of a run without a report.
func (o *output) discard() (err error) {
	for _, f := range o.kept {
		err = errors.Join(err, f.Discard())
	}
	return err
}

// write writes the report to stdout and completes the directories.
func (o *output) write(r *report.Report, stdout io.Writer, bar *cli.Progress) error {
	err := writers[o.format](r, stdout)
	for _, f := range o.kept {
		err = errors.Join(err, f.Finish(r))
	}
	return err
}

package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"soundcheck/loadgen/report"
)

// WriteMarkdown writes the result as GitHub markdown, for a pull request.
func (r *Result) WriteMarkdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "### Load test: %s\n\n", report.Cell(r.Summary()))
	for _, reason := range r.Invalid {
		fmt.Fprintf(&b, "**INVALID** %s\n\n", report.Cell(reason))
	}
	for _, what := range r.Warnings {
		fmt.Fprintf(&b, "**WARNING** %s\n\n", report.Cell(what))
	}
	b.WriteString("|  | A | B | difference | 95% interval | smallest effect | verdict |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n")
	for _, m := range r.Metrics {
		difference, interval, smallest := "-", "-", "-"
		if f := m.Found; f != nil {
			difference, interval, smallest = percent(f.Difference), percent(f.Low)+" to "+percent(f.High), fmt.Sprintf("%.1f%%", 100*f.Smallest)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", m.Name, m.text(m.A), m.text(m.B), difference, interval, smallest, m.Verdict)
	}
	fmt.Fprintf(&b, "\nTolerance %.4g%%. A: %s, %d good in %.1f s. B: %s, %d good in %.1f s.\n", 100*r.Tolerance,
		report.Cell(r.A.Name), r.A.Good, r.A.Seconds, report.Cell(r.B.Name), r.B.Good, r.B.Seconds)
	_, err := w.Write(b.Bytes())
	return err
}

// WriteGitHub writes the result as annotations of GitHub Actions: an error for each metric that regressed, a warning if
// the comparison is inconclusive, else a notice.
func (r *Result) WriteGitHub(w io.Writer) error {
	var b strings.Builder
	for _, m := range r.Metrics {
		if f := m.Found; m.Verdict == Regressed && f != nil {
			b.WriteString(report.Annotation("error", "Load test: "+m.Name+" regressed",
				fmt.Sprintf("%s to %s: %s (%s to %s), tolerance %.4g%%", m.text(m.A), m.text(m.B), percent(f.Difference), percent(f.Low), percent(f.High), 100*r.Tolerance)))
		}
	}
	switch r.Verdict {
	case Regressed:
	case Inconclusive:
		b.WriteString(report.Annotation("warning", "Load test", r.Summary()))
	default:
		b.WriteString(report.Annotation("notice", "Load test", r.Summary()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Prepare creates a directory for the files of a result. It must not have those of another.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, resultName+".json")); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s already contains a comparison", dir)
	}
	return nil
}

// resultName is the name of the files, without the suffix.
const resultName = "comparison"

// WriteFiles writes comparison.txt, comparison.md and comparison.json to a directory, the last one when the others are
// complete.
func (r *Result) WriteFiles(dir string) error {
	for _, f := range []struct {
		suffix string
		write  func(io.Writer) error
	}{{".txt", r.Write}, {".md", r.WriteMarkdown}, {".json", r.WriteJSON}} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, resultName+f.suffix), b.Bytes(), 0o644); err != nil { //nolint:gosec // for other users too, as reports
			return err
		}
	}
	return nil
}

package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"soundcheck/loadgen/report"
)

// WriteJSON writes the result as a JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Keys with a deprecated name.
var (
	resultKeys = report.RenamedKeys{"verdict": "answer", "resampled": "drawn"}
	metricKeys = report.RenamedKeys{"verdict": "answer"}
)

// The same types without methods.
type (
	plainResult Result
	plainMetric Metric
)

func (r Result) MarshalJSON() ([]byte, error) { return resultKeys.Encode(plainResult(r)) }
func (m Metric) MarshalJSON() ([]byte, error) { return metricKeys.Encode(plainMetric(m)) }

// Write writes the result as text.
func (r *Result) Write(w io.Writer) error {
	var b bytes.Buffer
	for _, reason := range r.Invalid {
		fmt.Fprintf(&b, "INVALID   %s\n", reason)
	}
	for _, what := range r.Warnings {
		fmt.Fprintf(&b, "WARNING   %s\n", what)
	}
	for _, s := range []struct {
		name string
		side Side
	}{{"A", r.A}, {"B", r.B}} {
		fmt.Fprintf(&b, "%s         %s: %d good, %.0f served, in %.1f s\n", s.name, s.side.Name, s.side.Good, s.side.Served, s.side.Seconds)
	}
	fmt.Fprintln(&b)
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "\tA\tB\tdifference\t95% interval\tsmallest effect\tverdict\t")
	for _, m := range r.Metrics {
		fmt.Fprintf(tab, "%s\t%s\t%s\t", m.Name, m.text(m.A), m.text(m.B))
		if f := m.Found; f != nil {
			fmt.Fprintf(tab, "%s\t%s to %s\t%.1f%%\t", percent(f.Difference), percent(f.Low), percent(f.High), 100*f.Smallest)
		} else {
			fmt.Fprint(tab, "-\t-\t-\t")
		}
		fmt.Fprintf(tab, "%s\t\n", m.Verdict)
	}
	tab.Flush()
	fmt.Fprintln(&b)
	printed := map[string]bool{}
	for _, m := range r.Metrics {
		if m.NotFound != "" && !printed[m.NotFound] {
			printed[m.NotFound] = true
			fmt.Fprintf(&b, "no interval for %s: %s\n", strings.Join(r.without(m.NotFound), ", "), m.NotFound)
		}
	}
	fmt.Fprintf(&b, "tolerance %.4g%%", 100*r.Tolerance)
	if slices.ContainsFunc(r.Metrics, func(m Metric) bool { return m.Found != nil }) {
		fmt.Fprintf(&b, "; bootstrap: %d resamples of %s", resamples, r.Resampled)
	}
	fmt.Fprintln(&b)
	fmt.Fprintf(&b, "verdict: %s\n", r.Verdict)
	_, err := w.Write(b.Bytes())
	return err
}

// without returns the metrics that have no interval for a reason.
func (r *Result) without(reason string) (names []string) {
	for _, m := range r.Metrics {
		if m.NotFound == reason {
			names = append(names, m.Name)
		}
	}
	return names
}

// Summary returns the verdict and its reasons in one line.
func (r *Result) Summary() string {
	if len(r.Invalid) > 0 {
		return "comparison inconclusive: " + r.Invalid[0]
	}
	var parts []string
	for _, m := range r.Metrics {
		switch {
		case m.Verdict != r.Verdict:
		case m.Found != nil:
			parts = append(parts, fmt.Sprintf("%s %s (%s to %s)", m.Name, percent(m.Found.Difference), percent(m.Found.Low), percent(m.Found.High)))
		default:
			parts = append(parts, fmt.Sprintf("%s: %s", m.Name, m.NotFound))
		}
	}
	what := map[Verdict]string{Regressed: "B regressed", Inconclusive: "comparison inconclusive", Better: "B is better", Same: "B is the same"}[r.Verdict]
	return what + ": " + strings.Join(parts, ", ")
}

func (m *Metric) text(v float64) string {
	if m.Name == "goodput" {
		return fmt.Sprintf("%.1f/s", v)
	}
	return fmt.Sprintf("%.2f ms", 1000*v)
}

func percent(share float64) string {
	if s := fmt.Sprintf("%+.1f%%", 100*share); s != "-0.0%" {
		return s
	}
	return "+0.0%"
}

package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the result as a JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

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
	fmt.Fprintln(tab, "\tA\tB\tdifference\t95% interval\tsmallest effect\tanswer\t")
	for _, m := range r.Metrics {
		fmt.Fprintf(tab, "%s\t%s\t%s\t", m.Name, m.text(m.A), m.text(m.B))
		if f := m.Found; f != nil {
			fmt.Fprintf(tab, "%s\t%s to %s\t%.1f%%\t", percent(f.Difference), percent(f.Low), percent(f.High), 100*f.Smallest)
		} else {
			fmt.Fprint(tab, "-\t-\t-\t")
		}
		fmt.Fprintf(tab, "%s\t\n", m.Answer)
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
		fmt.Fprintf(&b, "; drawn %d times: %s", resamples, r.Drawn)
	}
	fmt.Fprintln(&b)
	fmt.Fprintf(&b, "answer: %s\n", r.Answer)
	_, err := w.Write(b.Bytes())
	return err
}

// without names the metrics that have no interval for a reason.
func (r *Result) without(reason string) (names []string) {
	for _, m := range r.Metrics {
		if m.NotFound == reason {
			names = append(names, m.Name)
		}
	}
	return names
}

// Summary says in one line why the answer is what it is.
func (r *Result) Summary() string {
	if len(r.Invalid) > 0 {
		return "the comparison is inconclusive: " + r.Invalid[0]
	}
	var parts []string
	for _, m := range r.Metrics {
		switch {
		case m.Answer != r.Answer:
		case m.Found != nil:
			parts = append(parts, fmt.Sprintf("%s %s (%s to %s)", m.Name, percent(m.Found.Difference), percent(m.Found.Low), percent(m.Found.High)))
		default:
			parts = append(parts, fmt.Sprintf("%s: %s", m.Name, m.NotFound))
		}
	}
	what := map[Answer]string{Regressed: "B regressed", Inconclusive: "the comparison is inconclusive", Better: "B is better", Same: "B is the same"}[r.Answer]
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

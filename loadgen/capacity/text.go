package capacity

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
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

// Write writes the result as text: the steps, a curve, the answer.
func (r *Result) Write(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "target        %s\nobjectives    %s\n\n", r.Target, strings.Join(r.Objectives, ", "))
	r.table(&b)
	r.curve(&b)
	fmt.Fprintf(&b, "\n%s\n", r.Answer())
	if len(r.Hysteresis) > 0 {
		fmt.Fprintf(&b, "Passed once, and failed after a failure above: %s. That is near the limit, or it\ndoes not recover at once from an overload.\n", rates(r.Hysteresis))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Result) table(b *bytes.Buffer) {
	tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "step\tasked/s\treached/s\tgood/s\tp50\tp99\tsent late p99\tseconds\t\t")
	for i, s := range r.Steps {
		verdict := "passed"
		if !s.Passed {
			verdict = "FAILED  " + s.Why
		}
		fmt.Fprintf(tab, "%d\t%.1f\t%.1f\t%.1f\t%.2f ms\t%.2f ms\t%.2f ms\t%.1f\t\t%s\n", i+1, s.Rate, s.Reached, s.Goodput, 1000*s.P50, 1000*s.P99, 1000*s.Lag, s.Elapsed, verdict)
	}
	tab.Flush()
}

// curveWidth is how long the longest bar is.
const curveWidth = 40

// curve shows p99 over the rate, on a scale that is logarithmic.
func (r *Result) curve(b *bytes.Buffer) {
	list := slices.DeleteFunc(slices.Clone(r.Steps), func(s Step) bool { return s.P99 <= 0 })
	if len(list) == 0 {
		return
	}
	slices.SortStableFunc(list, func(x, y Step) int { return cmp.Compare(x.Rate, y.Rate) })
	low, high := math.Inf(1), 0.0
	for _, s := range list {
		low, high = min(low, s.P99), max(high, s.P99)
	}
	fmt.Fprintln(b, "\np99 by rate, logarithmic")
	for _, s := range list {
		n := curveWidth
		if high > low {
			n = 1 + int(math.Log(s.P99/low)/math.Log(high/low)*(curveWidth-1))
		}
		mark := ""
		if !s.Passed {
			mark = "  failed"
		}
		fmt.Fprintf(b, "%9.1f/s  %-*s  %.2f ms%s\n", s.Rate, curveWidth, strings.Repeat("█", n), 1000*s.P99, mark)
	}
}

// Answer is the result in a sentence.
func (r *Result) Answer() string {
	switch {
	case r.Ended != "" && r.Rate == 0:
		return fmt.Sprintf("Not finished (%s): no rate passed.", r.Ended)
	case r.Ended != "":
		return fmt.Sprintf("Not finished (%s): %.1f/s passed.", r.Ended, r.Rate)
	case r.Limit == Lowest:
		return fmt.Sprintf("It does not even do %.1f/s, the lowest rate that was tried.", r.Fails)
	case r.Limit == Highest:
		return fmt.Sprintf("It does at least %.1f/s, the highest rate to try (-to).", r.Rate)
	case r.Limit == Generator && r.Rate == 0:
		return fmt.Sprintf("Nothing is known: at %.1f/s already the generator could not keep to the plan.", r.Fails)
	case r.Limit == Generator:
		return fmt.Sprintf("It does at least %.1f/s. At %.1f/s the generator could not keep to the plan.", r.Rate, r.Fails)
	}
	return fmt.Sprintf("It does %.1f/s, and fails at %.1f/s (+%.1f%%).", r.Rate, r.Fails, 100*(r.Fails/r.Rate-1))
}

func rates(list []float64) string {
	var texts []string
	for _, x := range list {
		texts = append(texts, fmt.Sprintf("%.1f/s", x))
	}
	return strings.Join(texts, ", ")
}

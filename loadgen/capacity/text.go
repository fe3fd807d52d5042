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

	"soundcheck/loadgen/report"
)

// WriteJSON writes the result as a JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// stepKeys are the keys of a Step with a deprecated name.
var stepKeys = report.RenamedKeys{"rate_target": "rate_asked", "rate_actual": "rate_reached", "send_delay_p99": "lag_p99", "reason": "why"}

// plainStep is Step without methods.
type plainStep Step

func (s Step) MarshalJSON() ([]byte, error) { return stepKeys.Encode(plainStep(s)) }

// Write writes the result as text: steps, p99 by rate, headline.
func (r *Result) Write(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "target        %s\nSLO           %s\n\n", r.Target, strings.Join(r.Objectives, ", "))
	r.table(&b)
	r.curve(&b)
	fmt.Fprintf(&b, "\n%s\n", r.Headline())
	if len(r.Hysteresis) > 0 {
		fmt.Fprintf(&b, "hysteresis: %s passed, then failed after a failure at a higher rate (near the limit,\nor slow recovery from overload)\n", rates(r.Hysteresis))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Result) table(b *bytes.Buffer) {
	tab := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "step\ttarget/s\tactual/s\tgoodput/s\tp50\tp99\tsend delay p99\tseconds\t\t")
	for i, s := range r.Steps {
		verdict := "passed"
		if !s.Passed {
			verdict = "FAILED  " + s.Reason
		}
		fmt.Fprintf(tab, "%d\t%.1f\t%.1f\t%.1f\t%.2f ms\t%.2f ms\t%.2f ms\t%.1f\t\t%s\n", i+1, s.Rate, s.RateActual, s.Goodput, 1000*s.P50, 1000*s.P99, 1000*s.SendDelay, s.Elapsed, verdict)
	}
	tab.Flush()
}

// curveWidth is the width of the longest bar, in characters.
const curveWidth = 40

// curve shows p99 by target rate, on a log scale.
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
	fmt.Fprintln(b, "\np99 by target rate (log scale)")
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

// Headline returns the result in one line.
func (r *Result) Headline() string {
	switch {
	case r.Ended != "" && r.Rate == 0:
		return fmt.Sprintf("max sustainable rate unknown (%s): no rate passed", r.Ended)
	case r.Ended != "":
		return fmt.Sprintf("max sustainable rate at least %.1f req/s (%s)", r.Rate, r.Ended)
	case r.Limit == Lowest:
		return fmt.Sprintf("max sustainable rate below %.1f req/s, the lowest rate tried", r.Fails)
	case r.Limit == Highest:
		return fmt.Sprintf("max sustainable rate at least %.1f req/s, the highest rate tried (-to)", r.Rate)
	case r.Limit == Generator && r.Rate == 0:
		return fmt.Sprintf("max sustainable rate unknown: the generator could not keep to the plan at %.1f req/s", r.Fails)
	case r.Limit == Generator:
		return fmt.Sprintf("max sustainable rate at least %.1f req/s; the generator could not keep to the plan at %.1f req/s", r.Rate, r.Fails)
	}
	return fmt.Sprintf("max sustainable rate %.1f req/s; fails at %.1f req/s (+%.1f%%)", r.Rate, r.Fails, 100*(r.Fails/r.Rate-1))
}

func rates(list []float64) string {
	var texts []string
	for _, x := range list {
		texts = append(texts, fmt.Sprintf("%.1f req/s", x))
	}
	return strings.Join(texts, ", ")
}

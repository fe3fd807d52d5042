// Package view shows the progress of a run.
package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/measure"
)

// View shows the progress of a run: on a terminal in lines that it overwrites, else in one
// line every few seconds.
type View struct {
	bar  *cli.Progress
	p99s []time.Duration // by second
}

// sparkSeconds is the length of the sparkline.
const sparkSeconds = 60

// Bar writes progress to stderr, unless quiet.
func Bar(stderr io.Writer, quiet bool) *cli.Progress {
	if quiet {
		stderr = io.Discard
	}
	return cli.NewProgress(stderr)
}

// New returns a view on bar.
func New(bar *cli.Progress) *View { return &View{bar: bar} }

// Show shows the progress.
func (v *View) Show(p engine.Progress) {
	if p.Last.Requests > 0 {
		v.p99s = append(v.p99s, p.Last.P99)
		v.p99s = v.p99s[max(len(v.p99s)-sparkSeconds, 0):]
	}
	if v.bar.Terminal() {
		v.bar.Show(v.lines(p))
		return
	}
	v.bar.Show(line(p))
}

func line(p engine.Progress) string {
	if p.Starts > 0 {
		return fmt.Sprintf("starts in %.0f s", p.Starts.Seconds())
	}
	return fmt.Sprintf("%.0f of %.0f s: %d requests, %d failed, %d shed, p99 %s; now %s", p.Elapsed.Seconds(), p.Duration.Seconds(),
		p.Requests, p.Classes[measure.Failed], p.Classes[measure.Shed], ms(p.P99), Now(p))
}

// Now formats the last second.
func Now(p engine.Progress) string {
	text := fmt.Sprintf("%.0f/s actual, %d in flight, p50 %s, p99 %s", float64(p.Last.Requests)/max(p.Last.Seconds, 0.001), p.InFlight, ms(p.Last.P50), ms(p.Last.P99))
	if p.Users > 0 {
		text = fmt.Sprintf("%d users, ", p.Users) + text
	}
	if p.RateTarget > 0 {
		text = fmt.Sprintf("%.0f/s target, ", p.RateTarget) + text
	}
	if p.Silent != "" {
		text = p.Silent + "; " + text
	}
	return text
}

func (v *View) lines(p engine.Progress) string {
	if p.Starts > 0 {
		return line(p)
	}
	var classes []string
	for _, c := range []measure.Class{measure.Good, measure.Late, measure.Shed, measure.Failed} {
		if n := p.Classes[c]; n > 0 || c == measure.Good || c == measure.Failed {
			classes = append(classes, fmt.Sprintf("%d %s", n, c))
		}
	}
	left := max(p.Duration-p.Elapsed, 0)
	return strings.Join([]string{
		fmt.Sprintf("%s  %.0f of %.0f s, %.0f s left", gauge(float64(p.Elapsed)/float64(max(p.Duration, 1)), 30), p.Elapsed.Seconds(), p.Duration.Seconds(), left.Seconds()),
		"now     " + Now(p) + ", max send delay " + ms(p.Last.SendDelay) + slowest(p),
		fmt.Sprintf("total   %s, p99 %s", strings.Join(classes, ", "), ms(p.P99)),
		"p99     " + spark(v.p99s),
	}, "\n")
}

// slowest names the worker with that send delay.
func slowest(p engine.Progress) string {
	if p.Slowest == "" {
		return ""
	}
	return " (" + p.Slowest + ")"
}

func gauge(share float64, width int) string {
	n := min(max(int(share*float64(width)), 0), width)
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

// spark draws times as a sparkline, with its range.
func spark(list []time.Duration) string {
	if len(list) == 0 {
		return ""
	}
	low, high := slices.Min(list), slices.Max(list)
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, d := range list {
		i := 0
		if high > low {
			i = int(float64(d-low) / float64(high-low) * float64(len(bars)-1))
		}
		b.WriteRune(bars[i])
	}
	return fmt.Sprintf("%s  %s to %s", b.String(), ms(low), ms(high))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }

package main

import (
	"fmt"
	"strings"
	"time"

	"soundcheck/datagen/fill"
)

// tick is how often progress is shown.
const tick = 200 * time.Millisecond

const barWidth = 24

// bar draws a progress bar.
func bar(done, of int) string {
	full := min(barWidth, barWidth*done/of)
	return "[" + strings.Repeat("█", full) + strings.Repeat("·", barWidth-full) + "]"
}

// progress is the progress line of a run. On a terminal it has a bar.
func progress(s fill.Summary, terminal bool) string {
	there := s.Created + s.There
	perSecond := float64(there) / s.Elapsed.Seconds()
	text := fmt.Sprintf("%d of %d albums, %.0f/s", there, s.N, perSecond)
	if s.N == 0 {
		text = fmt.Sprintf("%d albums, %.0f/s", there, perSecond)
	} else if terminal {
		text = bar(s.Done(), s.N) + " " + text
	}
	for _, part := range []struct {
		n    int
		what string
	}{{s.There, "already there"}, {s.Rejected, "rejected"}, {s.Retried, "retried"}, {s.Failed, "failed"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if done := s.Done(); done > 0 && s.N > 0 {
		left := time.Duration(float64(s.Elapsed) / float64(done) * float64(s.N-done))
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	if s.Trouble != "" {
		text += "; waiting: " + s.Trouble
	}
	return text
}

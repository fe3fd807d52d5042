package main

import (
	"testing"
	"time"

	"soundcheck/datagen/fill"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s        fill.Summary
		terminal bool
		want     string
	}{
		{fill.Summary{N: 1000}, false, "0 of 1000 albums, 0/s"},
		{fill.Summary{N: 1000, Created: 250}, false, "250 of 1000 albums, 50/s, 15s left"},
		{fill.Summary{N: 1000, Created: 250}, true, "[██████··················] 250 of 1000 albums, 50/s, 15s left"},
		{fill.Summary{N: 1000, Created: 200, Failed: 50}, false, "200 of 1000 albums, 40/s, 50 failed, 15s left"},
		{fill.Summary{N: 1000, Created: 200, There: 20, Rejected: 30, Retried: 7, Trouble: "rate limit exceeded"}, false,
			"220 of 1000 albums, 44/s, 20 already there, 30 rejected, 7 retried, 15s left; waiting: rate limit exceeded"},
		{fill.Summary{Created: 250}, true, "250 albums, 50/s"},
	} {
		tt.s.Elapsed = 5 * time.Second
		if got := progress(tt.s, tt.terminal); got != tt.want {
			t.Errorf("progress of %+v = %q, want %q", tt.s, got, tt.want)
		}
	}
}

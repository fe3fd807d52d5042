package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/measure"
)

func TestView(t *testing.T) {
	t.Parallel()
	v := New(cli.NewProgress(new(bytes.Buffer)))
	p := engine.Progress{Elapsed: 12 * time.Second, Duration: 30 * time.Second, RateTarget: 100, Requests: 1200, InFlight: 3, P99: 9 * time.Millisecond,
		Classes: map[measure.Class]int{measure.Good: 1190, measure.Shed: 10}, Last: measure.Window{Seconds: 1, Requests: 99, P50: 1200 * time.Microsecond, P99: 4200 * time.Microsecond, SendDelay: 80 * time.Microsecond}}
	for i := range 100 { // the sparkline has the last minute
		p.Last.P99 = time.Duration(1+i%8) * time.Millisecond
		v.Show(p)
	}
	const want = `████████████░░░░░░░░░░░░░░░░░░  12 of 30 s, 18 s left
now     100/s target, 99/s actual, 3 in flight, p50 1.2 ms, p99 4.0 ms, max send delay 0.1 ms
total   1190 good, 10 shed, 0 failed, p99 9.0 ms
p99     ▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄▅▆▇█▁▂▃▄  1.0 ms to 8.0 ms`
	if got := v.lines(p); got != want {
		t.Errorf("on a terminal\n%s, want\n%s", got, want)
	}
	const plain = "12 of 30 s: 1200 requests, 0 failed, 10 shed, p99 9.0 ms; now 100/s target, 99/s actual, 3 in flight, p50 1.2 ms, p99 4.0 ms"
	if got := line(p); got != plain {
		t.Errorf("elsewhere %q, want %q", got, plain)
	}
	p.Silent = "worker 1 sends no numbers"
	if got, want := line(p), strings.Replace(plain, "now ", "now worker 1 sends no numbers; ", 1); got != want {
		t.Errorf("elsewhere %q, want %q", got, want)
	}
	p.Starts = 90 * time.Second
	if got := v.lines(p); got != "starts in 90 s" {
		t.Errorf("before it starts: %q", got)
	}
	if got := spark(nil); got != "" {
		t.Errorf("a curve of nothing: %q", got)
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry"
	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/options"
	"soundcheck/loadgen/report"
)

// explanation are the flags of tail-latency attribution.
type explanation struct {
	on       bool
	explicit bool // set on the command line: report why it is not possible
	jaeger   string
}

// Timeouts of tail-latency attribution.
const (
	reachTimeout    = time.Second
	jaegerTimeout   = 5 * time.Second
	explainPatience = 8 * time.Second // without new spans
	explainTimeout  = time.Minute
)

// add fetches the traces of the slowest requests and adds the attribution to the report. Telemetry
// is that of this process, or nil if others have sent the requests.
func (e explanation) add(ctx context.Context, r *report.Report, t *telemetry.Telemetry, bar *cli.Progress, stderr io.Writer) {
	j := explain.Jaeger{URL: e.jaeger, Client: &http.Client{Timeout: jaegerTimeout}}
	reach, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := j.Reach(reach); err != nil || t != nil && t.Disabled {
		if e.explicit {
			bar.Clear()
			fmt.Fprintf(stderr, "no tail-latency attribution: %v\n-jaeger sets the URL of Jaeger's API: lab up prints it\n", cmp.Or(err, errors.New("telemetry is disabled")))
		}
		return
	}
	bar.Show("fetching traces for tail-latency attribution")
	ctx, cancel = context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	if r.Traces = j.Page(ctx); j.Console(ctx) { // not by the timeout of Reach: a slow page would be another one
		r.Console = e.jaeger
	}
	if t != nil {
		_ = t.TracerProvider.ForceFlush(ctx) // export errors are reported at the end
	}
	r.TailAttribution = explain.Explain(ctx, j, r.Groups, explainPatience)
}

func (e *explanation) define(f *options.Flags) {
	f.BoolVar(&e.on, "explain", true, "tail-latency attribution from traces, if Jaeger responds")
	f.StringVar(&e.jaeger, "jaeger", "http://127.0.0.1:16696", "base `URL` of Jaeger's query API")
}

func (e *explanation) apply(f *options.Flags) error {
	switch {
	case f.Given("jaeger") && !f.Given("explain"):
		e.on = true // overrides the environment
	case f.Given("jaeger") && !e.on:
		return f.Errorf("-jaeger and -explain=false do not go together")
	}
	e.explicit = f.Given("explain") || f.Given("jaeger")
	return f.CheckURL("jaeger", &e.jaeger)
}

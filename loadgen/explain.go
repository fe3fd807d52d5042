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
	"soundcheck/loadgen/report"
)

// explanation is how the slowest requests are explained.
type explanation struct {
	on       bool
	explicit bool // asked for, so that it is said if it cannot be done
	jaeger   string
}

// Time limits of an explanation.
const (
	reachTimeout    = time.Second
	jaegerTimeout   = 5 * time.Second
	explainPatience = 8 * time.Second // nothing more has come for so long
	explainTimeout  = time.Minute
)

// add looks up the traces of the slowest requests, once they are delivered.
func (e explanation) add(ctx context.Context, r *report.Report, t *telemetry.Telemetry, bar *cli.Progress, stderr io.Writer) {
	j := explain.Jaeger{URL: e.jaeger, Client: &http.Client{Timeout: jaegerTimeout}}
	reach, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := j.Reach(reach); err != nil || t.Disabled {
		if e.explicit {
			bar.Clear()
			fmt.Fprintf(stderr, "the slowest requests are not explained: %v\n", cmp.Or(err, errors.New("telemetry is disabled")))
		}
		return
	}
	r.Traces = j.Page(reach)
	bar.Show("looking up the traces of the slowest requests")
	ctx, cancel = context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	_ = t.TracerProvider.ForceFlush(ctx) // what cannot be delivered is reported at the end
	r.Explained = explain.Explain(ctx, j, r.Groups, explainPatience)
}

func (e *explanation) define(f *targetFlags) {
	f.BoolVar(&e.on, "explain", true, "say why the slowest requests were slow, from their traces, if Jaeger answers")
	f.StringVar(&e.jaeger, "jaeger", "http://127.0.0.1:16696", "`URL` of Jaeger's query API")
}

func (e *explanation) apply(f *targetFlags) error {
	switch {
	case f.set["jaeger"] && !f.set["explain"]:
		e.on = true // whatever the environment says
	case f.set["jaeger"] && !e.on:
		return f.Errorf("-jaeger and -explain=false do not go together")
	}
	e.explicit = f.set["explain"] || f.set["jaeger"]
	return f.checkURL("jaeger", &e.jaeger)
}

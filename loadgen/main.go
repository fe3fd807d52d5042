// Loadgen sends requests to the album service as a plan says and reports how it
// answered.
//
//	go run ./loadgen -rate 100                                  # 100 requests/s for 30 s
//	go run ./loadgen -rate 500 -duration 2m                     # more, for longer
//	go run ./loadgen -stages 10s@0..200,30s@200,5s@500          # a ramp, a plateau, a step
//	go run ./loadgen -rate 100 -arrivals poisson                # in bursts and gaps, as users come
//	go run ./loadgen -rate 100 -mix get=90,create=10            # other requests
//	go run ./loadgen -rate 100 -slo 'p99<50ms' -slo 'good>99%'  # fails if it is slower
//	go run ./loadgen -rate 0 -workers 32                        # the closed model
//	go run ./loadgen -rate 100 -out runs/1                      # files as well
//	go run ./loadgen report runs/1                              # its report again
//	go run ./loadgen -rate 100 -url http://10.0.0.7:9070        # another target
//	go run ./loadgen -rate 100 -targets targets.txt             # another service, in vegeta's format
//
// The mix is made of these scenarios, in exact proportions:
//
//	list    the first page of albums                                      200
//	page    20 albums, then the next 20, and so on to the last            200
//	get     an album that exists, few of them often                       200
//	miss    an album that does not                                        404
//	create  a made-up album                                               201
//	update  the same in the place of one that exists                      200
//	delete  an album that was created to be deleted; until there is one,
//	        an album that does not exist                                  204, 404
//	batch   10 made-up albums                                             201
//	stream  all albums                                                    200
//	bad     an album that is not valid                                    400
//
// A request is good if it was answered so, late if that took longer than an objective
// (-slo) allows, shed if it was refused with 429 or 503, and failed otherwise. Response
// times are those of good and late requests; shed and failed ones have lines of their
// own.
//
// Response time counts from when a request was due, not from when it could be
// sent, so that a target that stalls does not look better than it is. Service time
// counts from when it was sent. If the generator could not keep to the plan (requests
// sent more than 2 ms late at p99, or 5% of the response time's p99 if that is more;
// some late because all workers were busy; less than 99% of an even plan sent) the
// report begins with INVALID and why: its numbers would be the generator's, not the
// target's.
//
// In the closed model (-rate 0) each of -workers sends when it was answered. It finds
// out how much a target can do, not how fast it answers: a stall of the target delays
// the requests that would have shown it.
//
// Every request is a trace of its own, which begins with a client span of the
// service loadgen. The report names the traces of the slowest requests. Where
// telemetry goes is told by the standard OTEL_* variables.
//
// If Jaeger answers (-jaeger), the traces of the slowest requests of each scenario are
// compared with those of as many typical ones (-explain): where on the critical path the
// difference is, with 95% intervals, and a trace to look at.
//
// The report is on stdout (-format json: attack.Report), and with -out in files beside
// histograms and each result (attack.Folder); progress on stderr. Ctrl-C ends
// the attack at once and shows the report so far.
//
// Exit codes: 0 every answer was as expected or, with -slo, every objective was met;
// 1 some were not, the target could not be reached, or the attack was interrupted;
// 2 wrong usage; 3 an objective was not met; 4 the report is invalid.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry"
	"soundcheck/loadgen/attack"
	"soundcheck/loadgen/explain"
)

func main() { cli.Main("loadgen", run) }

func parse(args []string, getenv func(string) string, stdout io.Writer) (c attack.Config, o output, err error) {
	f := cli.NewFlags("loadgen [flags]\n       loadgen report [flags] FOLDER", "SOUNDCHECK_LOADGEN", "Sends requests to the album service as a plan says and reports how it answered.")
	rate := f.Float64("rate", 100, "`requests` a second (0.01 to 100000); 0: the closed model, see -workers")
	duration := f.Duration("duration", 30*time.Second, "for this `long` (100ms to 24h)")
	stages := f.String("stages", "", "instead of -rate and -duration: `stages` as in 10s@0..200,30s@200, each for so long from one rate to another, or at one")
	arrivals := f.String("arrivals", string(attack.Constant), "spread the requests evenly (`constant`) or as those of independent users (poisson)")
	f.Uint64Var(&c.Plan.Max, "n", 0, "stop after this number of `requests`; 0: when the time is over")
	f.IntVar(&c.Workers, "workers", 0, "of the closed model (-rate 0): this `number` sends when they were answered (1 to 65536)")
	f.StringVar(&c.URL, "url", "http://127.0.0.1:9070", "`URL` of the service")
	mix := f.String("mix", "get=70,list=20,create=10", "`weights` of the scenarios "+strings.Join(attack.Names(), ", ")+" (each 0 to 1000)")
	targets := f.String("targets", "", "attack what this `file` says, in vegeta's HTTP or JSON format, instead of the album service; any status from 200 to 399 is good")
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "give up a request after this `long` (1ms to 10m)")
	f.IntVar(&c.MaxWorkers, "max-workers", 1024, "`requests` in flight at most (1 to 65536)")
	f.Uint64Var(&c.Seed, "seed", 1, "`number` that the arrivals, the order of requests and the created albums follow from")
	f.Func("slo", "`objective` that has to be met, as in p99<250ms, p99(get)<50ms, good>99.9% (may be given several times)", func(s string) error {
		slo, err := attack.ParseSLO(s)
		c.SLOs = append(c.SLOs, slo)
		return err
	})
	f.StringVar(&o.format, "format", "text", "of the report: `text` or json")
	f.StringVar(&o.out, "out", "", "write the report, histograms and each result to files in this `folder`, which must hold no other run")
	f.BoolVar(&o.why.on, "explain", true, "say why the slowest requests were slow, from their traces, if Jaeger answers")
	f.StringVar(&o.why.jaeger, "jaeger", "http://127.0.0.1:16696", "`URL` of Jaeger's query API")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, o, err
	}
	set := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { set[fl.Name] = true })
	c.Plan.Arrivals = attack.Arrivals(*arrivals)
	switch {
	case *stages != "" && (set["rate"] || set["duration"]):
		return c, o, f.Errorf("-stages says what -rate and -duration say: give one of them")
	case *rate != 0 && !(*rate >= 0.01 && *rate <= attack.MaxRate):
		return c, o, f.Errorf("-rate %g is out of range: 0.01 to %d, or 0", *rate, attack.MaxRate)
	case *duration < attack.MinDuration || *duration > attack.MaxDuration:
		return c, o, f.Errorf("-duration %s is out of range: 100ms to 24h", *duration)
	case c.Workers < 0 || c.Workers > 65536:
		return c, o, f.Errorf("-workers %d is out of range: 1 to 65536", c.Workers)
	case *rate == 0 && *stages == "" && c.Workers == 0:
		return c, o, f.Errorf("-rate 0 is the closed model, which needs -workers")
	case c.Workers > 0 && (*rate != 0 || *stages != ""):
		return c, o, f.Errorf("-workers is for the closed model: give -rate 0 too, and no -stages")
	case c.Plan.Arrivals != attack.Constant && c.Plan.Arrivals != attack.Poisson:
		return c, o, f.Errorf("-arrivals %q is not constant or poisson", *arrivals)
	case c.Timeout < time.Millisecond || c.Timeout > 10*time.Minute:
		return c, o, f.Errorf("-timeout %s is out of range: 1ms to 10m", c.Timeout)
	case c.MaxWorkers < 1 || c.MaxWorkers > 65536:
		return c, o, f.Errorf("-max-workers %d is out of range: 1 to 65536", c.MaxWorkers)
	case o.format != "text" && o.format != "json":
		return c, o, f.Errorf("-format %q is not text or json", o.format)
	}
	c.Plan.Stages = []attack.Stage{{Duration: *duration, From: *rate, To: *rate}}
	if *stages != "" {
		if c.Plan.Stages, err = attack.ParseStages(*stages); err != nil {
			return c, o, f.Errorf("-stages: %v", err)
		}
	} else if c.Workers == 0 && c.Plan.Planned() < 1 {
		return c, o, f.Errorf("-rate %g for -duration %s is not one request", *rate, *duration)
	}
	if _, err := albumhttp.NewClient(c.URL, albumhttp.ClientOptions{}); err != nil {
		return c, o, f.Errorf("-url: %v", err)
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	if _, err := albumhttp.NewClient(o.why.jaeger, albumhttp.ClientOptions{}); err != nil {
		return c, o, f.Errorf("-jaeger: %v", err)
	}
	o.why.jaeger, o.why.asked = strings.TrimSuffix(o.why.jaeger, "/"), set["explain"] || set["jaeger"]
	if *targets != "" {
		if set["mix"] || set["url"] {
			return c, o, f.Errorf("-targets says what -mix and -url say: give one of them")
		}
		file, err := os.Open(*targets)
		if err != nil {
			return c, o, fmt.Errorf("-targets: %w", err)
		}
		defer file.Close()
		if c.Targets, err = attack.ReadTargets(file); err != nil {
			return c, o, f.Errorf("-targets %s: %v", *targets, err)
		}
		c.URL = *targets
	}
	if c.Mix, err = attack.ParseMix(*mix); err != nil {
		return c, o, f.Errorf("-mix: %v", err)
	}
	return c, o, f.NoArgs()
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "report" {
		return report(args[1:], getenv, stdout)
	}
	c, o, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	if len(c.Targets) > 0 {
		// Nothing is known of them that could be asked first.
	} else if err := attack.Probe(ctx, c.URL); err != nil {
		return fmt.Errorf("reach the target: %w\nstart the lab with make lab-up, or name another service with -url", err)
	}
	c.RunID = runID(time.Now())
	t, err := telemetry.Setup(ctx, telemetry.Config{Name: "loadgen", Logs: stderr, Quiet: true, IDs: attack.NewIDs(c.RunID)})
	if err != nil {
		return err
	}
	defer t.Finish(ctx, stderr)
	if o.out != "" {
		if c.Folder, err = attack.NewFolder(o.out); err != nil {
			return fmt.Errorf("-out: %w", err)
		}
	}
	c.TraceSample = 1
	c.MeterProvider, c.Propagator = t.MeterProvider, t.Propagator
	if t.Disabled {
		c.MeterProvider = noop.NewMeterProvider()
	} else {
		c.TracerProvider = t.TracerProvider
	}
	bar := cli.NewProgress(stderr)
	c.Progress = func(p attack.Progress) {
		bar.Show(fmt.Sprintf("%.0f of %.0f s: %d requests, %d failed, %d shed, p99 %.1f ms", p.Elapsed.Seconds(), p.Duration.Seconds(),
			p.Requests, p.Classes[attack.Failed], p.Classes[attack.Shed], p.P99.Seconds()*1000))
	}
	r, err := attack.Run(ctx, c)
	if err != nil {
		return err
	}
	over := ctx.Err() != nil // before its time
	if o.why.on && !over {
		r.Explained = o.why.explain(ctx, r, t, bar)
	}
	bar.Clear()
	err = write(r, o.format, stdout)
	if c.Folder != nil {
		err = errors.Join(err, c.Folder.Finish(r))
	}
	return cmp.Or(err, verdict(r, over))
}

// output is where the report goes, and what is in it.
type output struct {
	format string
	out    string // folder; "": none
	why    explanation
}

func write(r *attack.Report, format string, stdout io.Writer) error {
	if format == "json" {
		return r.WriteJSON(stdout)
	}
	return r.Write(stdout)
}

// report shows the report of a run that -out wrote.
func report(args []string, getenv func(string) string, stdout io.Writer) error {
	f := cli.NewFlags("loadgen report [flags] FOLDER", "SOUNDCHECK_LOADGEN_REPORT", "Shows the report of a run again.")
	format := f.String("format", "text", "`text` or json")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	switch {
	case *format != "text" && *format != "json":
		return f.Errorf("-format %q is not text or json", *format)
	case f.NArg() != 1:
		return f.Errorf("give one folder, as in loadgen report .lab/runs/1")
	}
	r, err := attack.ReadReport(f.Arg(0))
	if err != nil {
		return err
	}
	return write(r, *format, stdout)
}

// runID names an attack: when it began, and something that no other has.
func runID(now time.Time) string {
	return fmt.Sprintf("%s-%04x", now.UTC().Format("20060102T150405Z"), rand.N(1<<16))
}

// explanation is how the slowest requests are explained.
type explanation struct {
	on     bool
	asked  bool // for, so that it is said if it cannot be done
	jaeger string
}

// Time limits of an explanation.
const (
	reachTimeout    = time.Second
	jaegerTimeout   = 5 * time.Second
	explainPatience = 8 * time.Second // nothing more has come for so long
	explainTimeout  = time.Minute
)

// explain looks up the traces of the slowest requests, once they are delivered.
func (e explanation) explain(ctx context.Context, r *attack.Report, t *telemetry.Telemetry, bar *cli.Progress) []explain.Answer {
	j := explain.Jaeger{URL: e.jaeger, Client: &http.Client{Timeout: jaegerTimeout}}
	reach, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := j.Reach(reach); err != nil || t.Disabled {
		if e.asked {
			bar.Line(fmt.Sprintf("the slowest requests are not explained: %v", cmp.Or(err, errors.New("telemetry is disabled"))))
		}
		return nil
	}
	bar.Show("looking up the traces of the slowest requests")
	ctx, cancel = context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	_ = t.TracerProvider.ForceFlush(ctx) // what cannot be delivered is reported at the end
	return explain.Explain(ctx, j, r.Groups(), explainPatience)
}

// Exit codes beside those of every program.
const (
	codeViolated = 3
	codeInvalid  = 4
)

// verdict is nil if the attack came out as it should. Over says that it was ended
// before its time.
func verdict(r *attack.Report, over bool) error {
	answered := r.Sent - r.Cancelled
	bad := r.Classes[attack.Failed] + r.Classes[attack.Shed]
	switch {
	case over:
		return fmt.Errorf("interrupted after %.1f s: %d requests were answered or failed, %d of them failed or were refused", r.Elapsed, answered, bad)
	case len(r.Invalid) > 0:
		return cli.WithCode(codeInvalid, fmt.Errorf("the report is invalid: %s", r.Invalid[0]))
	case r.Violated() > 0:
		return cli.WithCode(codeViolated, fmt.Errorf("%d of %d objectives were not met", r.Violated(), len(r.SLOs)))
	case len(r.SLOs) > 0 || bad == 0:
		return nil
	case bad == answered:
		return fmt.Errorf("none of %d requests succeeded", answered)
	}
	return fmt.Errorf("%d of %d requests failed or were refused", bad, answered)
}

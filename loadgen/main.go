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
//	go run ./loadgen compare runs/1 runs/2                      # is the second slower?
//	go run ./loadgen ab -a http://a:9070 -b http://b:9070       # is b slower than a, in turns?
//	go run ./loadgen -rate 100 -url http://10.0.0.7:9070        # another target
//	go run ./loadgen -rate 100 -targets targets.txt             # another service, in vegeta's format
//	go run ./loadgen -rate 100 -record requests                 # writes each request down
//	go run ./loadgen -replay requests                           # sends them again, at the same times
//	go run ./loadgen -rate 40000 -shard 2/4 -start-at 2026-01-31T12:00:00Z -out runs/2   # one of four machines
//	go run ./loadgen merge runs/1 runs/2 runs/3 runs/4          # their report
//	go run ./loadgen capacity -slo 'p99<100ms'                  # the highest rate that is fast enough
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
// The report is on stdout (-format json: report.Report; markdown: for a pull request;
// html: a page with charts), and with -out in files beside histograms and each result
// (report.Folder); progress on stderr. Where the folder .lab is, the last 50 runs are
// kept in .lab/runs (-keep). Ctrl-C ends the attack at once and shows the report so far.
//
// Each collection of memory holds requests up. Without GOGC and GOMEMLIMIT in the
// environment there are fewer of them than usual, for some 50 MB more.
//
// loadgen compare and loadgen ab say how p50, p99 and goodput of B differ from those of
// A, each with a 95% interval, and whether B regressed by more than -tolerance: see
// package compare.
//
// Exit codes: 0 every answer was as expected or, with -slo, every objective was met;
// 1 some were not, the target could not be reached, or the attack was interrupted;
// 2 wrong usage; 3 an objective was not met, or B regressed; 4 the report is invalid;
// 5 the comparison could not tell. Of capacity: 3 no rate passed; 4 the generator could not
// keep to the plan before the target failed.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"soundcheck/internal/cli"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800)
	}
	cli.Main("loadgen", run)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "attack":
		return runAttack(ctx, args[1:], getenv, stdout, stderr)
	case "capacity":
		return runCapacity(ctx, args[1:], getenv, stdout, stderr)
	case "merge":
		return runMerge(args[1:], getenv, stdout)
	case "report":
		return runReport(args[1:], getenv, stdout)
	case "compare":
		return runCompare(args[1:], getenv, stdout)
	case "ab":
		return runAB(ctx, args[1:], getenv, stdout, stderr)
	}
	if command != "" && command[0] != '-' {
		return cli.Usage(fmt.Sprintf("unknown command %q", command), "commands: attack (the default), capacity, ab, compare, merge, report; each with -h says more\n")
	}
	return runAttack(ctx, args, getenv, stdout, stderr)
}

// folders returns an error if a flag stands behind the folders, where it is none.
func folders(f *cli.Flags) error {
	for _, a := range f.Args() {
		if strings.HasPrefix(a, "-") {
			return f.Errorf("%s: flags come before the folders", a)
		}
	}
	return nil
}

// Loadgen sends requests at scheduled times, to the album service or to any other, and reports
// latency, throughput, errors and SLOs.
//
//	go run ./loadgen -rate 100                                  # 100 req/s for 30 s
//	go run ./loadgen -rate 500 -duration 2m                     # 500 req/s for 2 min
//	go run ./loadgen -stages 10s@0..200,30s@200,5s@500          # ramp, plateau, step
//	go run ./loadgen -rate 100 -arrivals poisson                # Poisson arrivals
//	go run ./loadgen -rate 100 -mix get=90,create=10            # another mix
//	go run ./loadgen -rate 100 -slo 'p99<50ms' -slo 'good>99%'  # exit code 3 if violated
//	go run ./loadgen -rate 0 -workers 32                        # closed model
//	go run ./loadgen -rate 100 -out runs/1                      # files too
//	go run ./loadgen report runs/1                              # print its report
//	go run ./loadgen compare runs/1 runs/2                      # is the second one slower?
//	go run ./loadgen ab -a http://a:9070 -b http://b:9070       # A/B of two services
//	go run ./loadgen -rate 100 -url http://10.0.0.7:9070        # another album service
//	go run ./loadgen -rate 50 http://shop:8001/api/items -H 'Accept: text/csv'   # any service
//	go run ./loadgen http://shop:8001/items/{{id}} -data ids.csv -each-once      # with values of a file
//	go run ./loadgen -rate 100 -targets targets.txt             # requests in vegeta's formats
//	go run ./loadgen -rate 100 -record requests                 # record all requests
//	go run ./loadgen -replay requests                           # replay them at the same times
//	go run ./loadgen -rate 40000 -shard 2/4 -start-at 2026-01-31T12:00:00Z -out runs/2   # one of four machines
//	go run ./loadgen merge runs/1 runs/2 runs/3 runs/4          # merge their reports
//	go run ./loadgen capacity -slo 'p99<100ms'                  # max sustainable rate
//	go run ./loadgen k8s -workers 8 -rate 40000                 # from 8 pods of a Kubernetes cluster
//	go run ./loadgen coordinate -workers 3 -rate 40000          # from 3 machines, each with:
//	go run ./loadgen -join http://10.0.0.9:7070                 # a worker
//
// The mix has these scenarios, in exact proportions:
//
//	scenario  request                                          expected status
//	list      first page of albums                             200
//	page      20 albums, then the next 20, to the last page    200
//	get       an existing album, Zipf-distributed              200
//	miss      an unknown album                                 404
//	create    a generated album                                201
//	update    an existing album                                200
//	delete    an album that this run created for it;           204
//	          before there is one, an unknown album            404
//	batch     10 generated albums                              201
//	stream    all albums                                       200
//	bad       an invalid album                                 400
//
// The requests of a URL argument and of -targets have the scenario target, which expects 200 to 399.
// -expect changes the expected statuses of a scenario.
//
// Each completed request has a class: good (expected status), late (expected status, slower
// than the SLO), shed (429 or 503) or failed. Response times are those of good and late
// requests. Shed and failed requests have their own rows.
//
// Response time: scheduled → end of the response. It includes the wait during a stall of the
// target (no coordinated omission). Service time: sent → end of the response. Send delay:
// scheduled → sent.
//
// A report is INVALID if its numbers are the generator's and not the target's: p99 send delay
// above 2 ms (or 5% of the p99 response time, if larger), requests delayed because all workers
// were busy, or less than 99% of a plan with constant arrivals sent.
//
// In the closed model (-rate 0) each of -workers sends its next request after a response. It
// measures throughput. Its latency is too low: a stall of the target reduces the load.
//
// Each request has its own trace, with a client span of the service loadgen as root, unless the
// request brings a traceparent. The report has the trace ids of the slowest requests. The standard
// OTEL_* variables configure telemetry.
//
// If Jaeger (-jaeger) responds, the report has a tail-latency attribution (-explain): the
// difference between the slowest and typical requests of each scenario, by span of the critical
// path, with 95% intervals and an example trace.
//
// The report goes to stdout (-format), and with -out to a directory with histograms and raw
// results (report.Folder). Progress goes to stderr. If the directory .lab exists, .lab/runs
// stores the last 50 runs (-keep). Ctrl-C ends the run and prints the report so far.
//
// Garbage collection delays requests. Without GOGC in the environment, loadgen collects less often than
// usual, the less the faster a run is, and uses up to 64 MiB more (package gc).
//
// loadgen compare and loadgen ab report the differences of p50, p99 and goodput of B to A, each
// with a 95% interval, and a verdict by -tolerance: see package compare.
//
// Exit codes: 0 each request served or, with -slo, each SLO met; 1 requests failed, target
// unreachable, or interrupted; 2 usage error; 3 SLO violated, or B regressed; 4 report invalid
// (wins over 3); 5 comparison inconclusive. Of capacity: 3 no rate passed; 4 limited by the
// generator.
package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/internal/gc"
	"soundcheck/loadgen/options"
)

// prefix of the environment variables.
const prefix = "SOUNDCHECK_LOADGEN"

func main() {
	gc.Pace()
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
	case "coordinate":
		return runCoordinate(ctx, args[1:], getenv, stdout, stderr)
	case "k8s":
		return runK8s(ctx, args[1:], getenv, stdout, stderr)
	case "merge":
		return runMerge(args[1:], getenv, stdout)
	case "report":
		return runReport(args[1:], getenv, stdout)
	case "compare":
		return runCompare(args[1:], getenv, stdout)
	case "ab":
		return runAB(ctx, args[1:], getenv, stdout, stderr)
	}
	if command != "" && command[0] != '-' && !options.IsURL(command) {
		return cli.Usage(fmt.Sprintf("unknown command %q", command), "commands: attack (default), capacity, k8s, coordinate, ab, compare, merge, report; see loadgen COMMAND -h\n")
	}
	return runAttack(ctx, args, getenv, stdout, stderr)
}

// folders returns an error for a flag after the directories.
func folders(f *cli.Flags) error {
	for _, a := range f.Args() {
		if strings.HasPrefix(a, "-") {
			return f.Errorf("%s: flags come before directories", a)
		}
	}
	return nil
}

// Simulation measures the coordinator of a distributed run: it starts one as a process of its own, and
// lets many workers without a network target join it. Each sends the report of a run of a minute, made
// up from random response times.
//
//	go run ./loadgen/cluster/simulation -workers 1000
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

func main() { cli.Main("simulation", run) }

const token = "simulation"

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := cli.NewFlags("simulation [flags]", "SOUNDCHECK_SIMULATION", "Measures the coordinator of a distributed run, with workers that only make up reports.")
	workers := f.Int("workers", cluster.MaxWorkers, "`number` of workers (1 to 1000)")
	rate := f.Float64("rate", 100, "requests of each worker in a simulated second (1 to 10000)")
	seconds := f.Int("seconds", 60, "simulated `seconds` of the run (1 to 600)")
	coordinator := f.Bool("coordinator", false, "be the coordinator, on the listener in file descriptor 3")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	switch {
	case *workers < 1 || *workers > cluster.MaxWorkers:
		return f.Errorf("-workers %d is out of range: 1 to %d", *workers, cluster.MaxWorkers)
	case !(*rate >= 1 && *rate <= 10_000):
		return f.Errorf("-rate %g is out of range: 1 to 10000", *rate)
	case *seconds < 1 || *seconds > 600:
		return f.Errorf("-seconds %d is out of range: 1 to 600", *seconds)
	}
	if *coordinator {
		return coordinate(ctx, *workers, stdout)
	}
	return simulate(ctx, *workers, *rate, *seconds, stdout, stderr)
}

// coordinate is the process that is measured.
func coordinate(ctx context.Context, workers int, stdout io.Writer) error {
	debug.SetGCPercent(cluster.GCPercent)
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	c := cluster.NewCoordinator(workers, token)
	c.Log = func(line string) { fmt.Fprintln(stdout, line) }
	began := time.Now()
	c.Serve(l)
	if err := c.Wait(ctx, time.Minute, nil); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d workers registered in %.1f s\n", workers, time.Since(began).Seconds())
	if err := say(stdout, "peak memory with all workers"); err != nil {
		return err
	}
	joined := time.Now()
	r, err := c.Run(ctx, cluster.Options{RunID: "simulation", Config: struct{}{}, Extent: time.Minute})
	if err != nil {
		return err
	}
	took, started := time.Since(joined), r.StartedAt.Sub(joined)
	c.Close(nil)
	took -= liveSeconds * time.Second
	fmt.Fprintf(stdout, "prepared and started them, with all clocks measured, in %.1f s; received and merged %d runs of %d s in %.1f s: %d requests, p99 %.2f ms\n",
		started.Seconds(), workers, len(r.Intervals), (took - started).Seconds(), r.Sent, 1000*r.Response.P99)
	for _, reason := range r.Invalid {
		fmt.Fprintln(stdout, "INVALID:", reason)
	}
	return say(stdout, "peak memory")
}

// say prints the peak resident memory.
func say(stdout io.Writer, what string) error {
	peak, err := peakMemory()
	fmt.Fprintf(stdout, "%s: %s\n", what, peak)
	return err
}

// peakMemory returns the peak resident memory of this process, from Linux.
func peakMemory() (string, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown", nil
	}
	for line := range strings.Lines(string(b)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(kib), " kB"))
			return fmt.Sprintf("%.0f MB", float64(n)*1024/1e6), err
		}
	}
	return "unknown", nil
}

func simulate(ctx context.Context, workers int, rate float64, seconds int, stdout, stderr io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	m := makeReports(workers, rate, seconds)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	file, err := l.File()
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	l.Close()
	defer file.Close()
	cmd := exec.CommandContext(ctx, exe, "-coordinator", "-workers", strconv.Itoa(workers))
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdout, stderr, []*os.File{file}
	if err := cmd.Start(); err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make(chan error, workers)
	for i := range workers {
		all.Go(func() {
			errs <- cluster.Worker{URL: url, Token: token, Index: i, Patience: time.Minute, Runner: m}.Join(ctx)
		})
	}
	err = cmd.Wait()
	all.Wait()
	close(errs)
	for e := range errs {
		if err == nil {
			err = e
		}
	}
	return err
}

// different is the number of different reports: making one takes longer than merging it.
const different = 20

func makeReports(workers int, rate float64, seconds int) (m maker) {
	for i := range min(workers, different) {
		scenarios := []string{"create", "get", "list"}
		plan := schedule.Plan{Stages: []schedule.Stage{{Duration: time.Duration(seconds) * time.Second, From: rate * float64(workers), To: rate * float64(workers)}},
			Arrivals: schedule.Constant, Shard: uint64(i), Shards: uint64(workers)}
		b := report.NewBuilder(report.Setup{RunID: "simulation", Target: "none", Plan: plan, MaxWorkers: 1024, Scenarios: scenarios})
		b.CountParts()
		r := rand.New(rand.NewPCG(uint64(i), 0))
		for n := range int(rate) * seconds {
			took := time.Duration(float64(2*time.Millisecond) * math.Exp(0.7*r.NormFloat64()))
			b.Add(report.Outcome{Expected: true, Request: measure.Request{Scenario: scenarios[n%3], Status: 200,
				Scheduled: time.Duration(float64(n) / rate * float64(time.Second)), Response: took, Service: took}})
		}
		span := time.Duration(seconds) * time.Second
		m.live = append(m.live, b.TakeParts())
		m.reports = append(m.reports, b.Finish(time.Now(), span, span, 10, false))
	}
	return m
}

// maker is a worker's Runner.
type maker struct {
	reports []*report.Report
	live    [][]measure.Part // of the same runs, one for each simulated second
}

// liveSeconds is how many seconds of live numbers a worker sends before its report.
const liveSeconds = 3

// Delivered implements cluster.Runner.
func (maker) Delivered(cluster.Task, *report.Report) {}

// Prepare implements cluster.Runner.
func (maker) Prepare(context.Context, cluster.Task) error { return nil }

// Run implements cluster.Runner.
func (m maker) Run(ctx context.Context, t cluster.Task, start time.Time, h cluster.Hooks) (*report.Report, error) {
	select {
	case <-time.After(time.Until(start)):
	case <-ctx.Done():
	}
	h.Sent(0, time.Now())
	n := t.Worker % len(m.reports)
	for i := 0; i < liveSeconds && i < len(m.live[n]) && ctx.Err() == nil; i++ {
		select {
		case <-time.After(time.Until(start.Add(time.Duration(i+1) * time.Second))):
		case <-ctx.Done():
		}
		h.Live(cluster.Update{InFlight: 1, Parts: m.live[n][i : i+1]})
	}
	r := *m.reports[n]
	r.StartedAt = start
	if r.Shard = ""; t.Workers > 1 {
		r.Shard = fmt.Sprintf("%d/%d", t.Worker+1, t.Workers)
	}
	return &r, nil
}

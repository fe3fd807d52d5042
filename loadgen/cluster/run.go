package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/slo"
)

// Options are a run of all workers.
type Options struct {
	RunID      string
	Config     any           // for each worker's Runner, as JSON
	Extent     time.Duration // max, from the start to the end of the last request
	Timeout    time.Duration // of a request, after an early end
	Planned    uint64        // requests of the plan, or users of a flow, of all workers
	RateTarget float64       // average of the plan, of all workers
	Users      int           // of the closed model, of all workers; 0: open model
	Objectives []slo.Objective
	// Strict: a worker that is lost, or that began at another time, makes Run return Broken, not only a
	// report that is INVALID.
	Strict bool
	// Progress, if not nil, is called every second.
	Progress func(Progress)
	// EndWhen, if not nil, is called every second. The run ends if it returns a reason.
	EndWhen func([]slo.Outlook) string
}

// Progress is the state of a run.
type Progress struct {
	Starts   time.Duration // from now; 0: started
	Elapsed  time.Duration
	InFlight int
	Users    int                   // on their way through a flow
	Done     int                   // users who completed or failed
	Classes  map[measure.Class]int // so far
	P99      time.Duration         // response time of served requests, so far
	Last     measure.Window
	Slowest  int // the worker with the longest send delay of Last
	Silent   int // the worker without live numbers for the longest time; -1: all send them
}

// MaxApart is how far from the start of the run a worker may begin.
const MaxApart = 10 * time.Millisecond

// Limits of time in a run.
const (
	prepareTimeout = 30 * time.Second
	lead           = time.Second      // from the last clock measurement to the start
	stopTimeout    = pingTimeout      // a busy worker delivers its report as late as it responds to a PING
	lateTimeout    = 30 * time.Second // after the last request could have ended
	perWorker      = 20 * time.Millisecond
	clockAttempts  = 3

	atOnce = 2 // results that are received and decoded
)

// StopExtent is the max time from the interrupt of a run to its report.
func StopExtent(workers int) time.Duration {
	return stopTimeout + time.Duration(workers)*perWorker
}

// run is a run in progress. The goroutine of Run owns what has no comment.
type run struct {
	Options
	c       *Coordinator
	number  int
	members []*member
	events  chan event
	over    chan struct{} // closed at the end of Run

	offsets  []Offset
	start    time.Time
	sum      *measure.Sum
	latest   []Update    // by worker
	heard    []time.Time // the last Live, by worker
	delay    time.Duration
	slowest  int
	ends     []bool // the worker has sent its last live numbers …
	results  []bool // … and its report
	gone     []bool // the worker is lost
	started  []bool // the worker has said when it began
	checking int    // starts that are being checked
	invalid  []string
	lost     []int // workers
	broken   bool  // a worker was lost, or ends
	apart    bool  // the workers did not begin together, or nobody knows
	canceled bool
	ended    string // why the run ended early
	deadline *time.Timer

	turn   chan struct{} // of results that are received and decoded
	mu     sync.Mutex    // of the following
	open   bool          // from the start to the end, results are expected
	merger *report.Merger
	got    []bool
}

// event is a message of a worker, or one of these.
type event struct {
	worker int
	fromWorker
	lost    error
	result  error // with done
	done    bool
	checked *string         // what is wrong with the worker's start; "": nothing
	decoded measure.Decoded // parts of Live
	invalid error           // of decoding them
}

// Run runs a task on all workers, and returns the merged report. When ctx ends it returns the report
// so far. A worker that is lost ends the run; the report is invalid.
func (c *Coordinator) Run(ctx context.Context, o Options) (*report.Report, error) {
	config, err := Encode(o.Config)
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, c: c, events: make(chan event, eventQueue), over: make(chan struct{}), sum: measure.NewSum(), latest: make([]Update, c.Workers), heard: make([]time.Time, c.Workers), ends: make([]bool, c.Workers), results: make([]bool, c.Workers),
		gone: make([]bool, c.Workers), started: make([]bool, c.Workers), turn: make(chan struct{}, atOnce), merger: report.NewMerger(), got: make([]bool, c.Workers)}
	r.merger.Together = true
	r.merger.Intervals = func(scenario string) []*measure.Interval { _, list := r.sum.Of(scenario); return list }
	if err := r.begin(); err != nil {
		return nil, err
	}
	defer r.forget()
	var forwards sync.WaitGroup
	defer func() { // before another run: they would take its messages
		close(r.over)
		forwards.Wait()
	}()
	for i, m := range r.members {
		forwards.Go(func() { r.forward(i, m) })
	}
	if err := r.prepare(ctx, config); err != nil {
		r.tell(toWorker{Cancel: true})
		return nil, err
	}
	if err := r.measureClocks(ctx); err != nil {
		return nil, err
	}
	r.start = time.Now().Add(lead)
	r.mu.Lock()
	r.open = true
	r.mu.Unlock()
	for i, m := range r.members {
		at := r.start.Add(r.offsets[i].Ahead).Round(0)
		_ = m.send(toWorker{Start: &at}) // an error ends the connection, which is an event
	}
	r.watch(ctx)
	r.explainLost()
	m, err := r.finish()
	if err == nil && r.Strict && (r.broken || r.apart) {
		return nil, Broken{r.invalid[0], r.broken}
	}
	return m, err
}

// Broken is the error of a strict run: the workers did not run together.
type Broken struct {
	Reason string
	Final  bool // a worker is lost, or ends: another run cannot be better
}

// Error implements error.
func (b Broken) Error() string { return b.Reason }

// begin takes the workers that are connected.
func (r *run) begin() error {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	for i, m := range r.c.members {
		if m == nil {
			return fmt.Errorf("worker %d was lost before the start", i)
		}
	}
	r.members = slices.Clone(r.c.members)
	r.c.runs++
	r.number, r.c.run = r.c.runs, r
	return nil
}

func (r *run) forget() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.c.run = nil
}

// forward turns what a worker sends into events.
func (r *run) forward(i int, m *member) {
	for {
		select {
		case f := <-m.events:
			r.post(decoded(i, f))
		case <-m.gone:
			for len(m.events) > 0 {
				r.post(decoded(i, <-m.events))
			}
			r.post(event{worker: i, lost: cmp.Or(m.why, errors.New("the connection ended"))})
			return
		case <-r.over:
			return
		}
	}
}

// decoded is the event of a message. Live numbers are decoded beside the other workers' ones.
func decoded(i int, f fromWorker) event {
	e := event{worker: i, fromWorker: f}
	if f.Live != nil {
		e.decoded, e.invalid = measure.DecodeParts(f.Live.Parts)
	}
	return e
}

// tell sends a message to all workers.
func (r *run) tell(message toWorker) {
	for _, m := range r.members {
		_ = m.send(message)
	}
}

// watch handles events until all workers have finished.
func (r *run) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	// Between the seconds at which the workers send: else a second has their numbers twice, and the next has none.
	defer time.AfterFunc(time.Second/2, func() { tick.Reset(time.Second) }).Stop()
	r.deadline = time.NewTimer(time.Until(r.start) + r.Extent + lateTimeout + time.Duration(len(r.members))*perWorker)
	defer r.deadline.Stop()
	interrupted, said := ctx.Done(), false
	for r.unfinished() > 0 || r.checking > 0 {
		if n := r.unfinished(); r.canceled && !said && n > 0 {
			said = true
			r.c.log("stopping: waits up to %.0f s for the reports of %d of %d workers", r.c.stopExtent.Seconds(), n, len(r.members))
		}
		select {
		case e := <-r.events:
			r.handle(e)
		case <-tick.C:
			r.look()
		case <-interrupted:
			interrupted = nil
			r.cancel("interrupted")
		case <-r.deadline.C:
			r.mu.Lock()
			got := slices.Clone(r.got)
			r.mu.Unlock()
			for i, m := range r.members {
				if !r.finished(i) && !got[i] { // the event of a result may still be queued
					r.lose(i, "no report in time")
					m.end(errors.New("no report in time"))
				}
			}
			return
		}
	}
}

// cancel ends the run at once, the first time.
func (r *run) cancel(why string) {
	if r.canceled {
		return
	}
	r.canceled = true
	r.ended = cmp.Or(r.ended, why)
	r.deadline.Reset(r.c.stopExtent)
	go r.tell(toWorker{Cancel: true}) // a worker that hangs must not delay the others
}

// lose ends the run because of a worker. That is before other reasons, which may be its consequences.
func (r *run) lose(i int, why string) {
	r.cancel(fmt.Sprintf("worker %d was lost", i))
	r.gone[i] = true
	r.broken = true
	r.lost = append(r.lost, i)
	r.invalid = slices.Insert(r.invalid, len(r.lost)-1, fmt.Sprintf("worker %d was lost after %.1f s: %s (%s)", i, max(time.Since(r.start), 0).Seconds(), why, r.members[i].address))
}

func (r *run) handle(e event) {
	i := e.worker
	switch {
	case e.lost != nil && !r.finished(i):
		r.lose(i, reason(e.lost))
	case e.Started != nil && !r.started[i]:
		r.started[i] = true
		r.checking++
		go r.checkStart(i, *e.Started)
	case e.checked != nil:
		r.checking--
		if *e.checked != "" {
			r.apart = true
			r.invalid = append(r.invalid, fmt.Sprintf("worker %d %s", i, *e.checked))
		}
	case e.invalid != nil:
		r.members[i].end(fmt.Errorf("it sent invalid numbers: %w", e.invalid))
	case e.Live != nil:
		if err := r.sum.AddDecoded(e.decoded); err != nil {
			r.members[i].end(fmt.Errorf("it sent invalid numbers: %w", err))
			return
		}
		r.heard[i] = time.Now()
		r.latest[i] = *e.Live
		r.latest[i].Parts = nil
		if e.Live.Delay > r.delay {
			r.delay, r.slowest = e.Live.Delay, i
		}
	case e.Ended != nil && e.Ended.Run == r.number && e.Ended.Error != "":
		r.cancel(fmt.Sprintf("worker %d failed", i))
		r.lose(i, e.Ended.Error)
	case e.Ended != nil && e.Ended.Run == r.number:
		if r.ends[i] = true; e.Ended.Stopped {
			r.cancel(fmt.Sprintf("worker %d got a signal", i))
			r.broken = true
			r.invalid = append(r.invalid, fmt.Sprintf("worker %d got SIGTERM or SIGINT after %.1f s: pod deleted or evicted, machine shut down, or Ctrl-C (%s)", i, max(time.Since(r.start), 0).Seconds(), r.members[i].address))
		}
	case e.done:
		if r.results[i] = true; e.result != nil && !r.gone[i] {
			r.lose(i, e.result.Error())
		}
	}
}

// post adds an event, unless the run is over.
func (r *run) post(e event) {
	select {
	case r.events <- e:
	case <-r.over:
	}
}

package cluster

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/slo"
)

const testToken = "token of a test"

// plan is what a fake worker sends: a request each millisecond of the plan, without waiting.
type plan struct{ Requests int }

// fake is a worker's Runner that makes a report up.
type fake struct {
	objectives []slo.Objective
	prepare    error
	ahead      time.Duration // error of the clock
	late       time.Duration // of the first request
	ended      string
	do         func(ctx context.Context, h Hooks) error // before the report

	mu     sync.Mutex
	start  time.Time // of this machine's clock
	report *report.Report
}

func (f *fake) Prepare(context.Context, Task) error { return f.prepare }

func (f *fake) Run(ctx context.Context, t Task, start time.Time, h Hooks) (*report.Report, error) {
	var p plan
	if err := Decode(t.Config, &p); err != nil {
		return nil, err
	}
	n := uint64(t.Workers)
	if n == 1 {
		n = 0
	}
	b := report.NewBuilder(report.Setup{RunID: t.RunID, Target: "none", MaxWorkers: 8, Scenarios: []string{"get"}, Objectives: f.objectives,
		Plan: schedule.Plan{Stages: []schedule.Stage{{Duration: time.Duration(p.Requests) * time.Millisecond, From: 1000, To: 1000}}, Arrivals: schedule.Constant, Shard: uint64(t.Worker), Shards: n}})
	b.CountParts()
	h.Sent(0, start.Add(f.late))
	r := rand.New(rand.NewPCG(uint64(t.Worker), 1))
	for i := range p.Requests / t.Workers {
		took := time.Duration(1e6 * math.Exp(r.NormFloat64()))
		b.Add(report.Outcome{Expected: true, Request: measure.Request{Scenario: "get", Status: 200, Scheduled: time.Duration(i*t.Workers) * time.Millisecond, Response: took, Service: took}})
	}
	h.Live(Update{InFlight: 1 + t.Worker, Delay: time.Duration(1+t.Worker) * time.Microsecond, Parts: b.TakeParts()})
	if f.do != nil {
		if err := f.do(ctx, h); err != nil {
			return nil, err
		}
	}
	rep := b.Finish(start, time.Second, time.Second, 1, ctx.Err() != nil)
	rep.Ended = cmp.Or(rep.Ended, f.ended)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start, f.report = start, rep
	return rep, nil
}

func (f *fake) Delivered(Task, *report.Report) {}

// lab is a coordinator with its workers.
type lab struct {
	*Coordinator
	t       *testing.T
	url     string
	fakes   []*fake
	ended   []chan error // by worker
	cancels []context.CancelFunc

	progress func(Progress) // of its run, in the goroutine of Run
}

// begin starts a coordinator, and joins workers with these Runners.
func begin(t *testing.T, fakes ...*fake) *lab {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{Coordinator: NewCoordinator(len(fakes), testToken), t: t, url: "http://" + listener.Addr().String(), fakes: fakes}
	l.Log, l.stopExtent = func(line string) { t.Log(line) }, time.Minute // of a busy machine
	l.Serve(listener)
	t.Cleanup(func() { l.Close(nil) })
	for i, f := range fakes {
		if f != nil {
			l.join(Worker{URL: l.url, Token: testToken, Index: i, Runner: f, Ahead: f.ahead})
		}
	}
	return l
}

func (l *lab) join(w Worker) {
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan error, 1)
	l.cancels, l.ended = append(l.cancels, cancel), append(l.ended, ended)
	go func() { ended <- w.Join(ctx) }()
}

// all waits for the workers and runs.
func (l *lab) all(ctx context.Context, o Options, requests int) (*report.Report, error) {
	l.t.Helper()
	if err := l.Wait(ctx, time.Minute, nil); err != nil {
		l.t.Fatal(err)
	}
	o.RunID, o.Config, o.Extent, o.Timeout, o.Progress = "run", plan{requests}, 2*time.Second, time.Second, l.progress
	return l.Run(ctx, o)
}

// Three workers, one with a clock that is wrong by 250 ms: they start together, and the merged
// histogram is the sum of the parts.
func TestRun(t *testing.T) {
	t.Parallel()
	fakes := []*fake{{}, {ahead: 250 * time.Millisecond}, {}}
	l := begin(t, fakes...)
	l.progress = func(p Progress) {
		if n := p.Classes[measure.Good]; n%1000 != 0 || n > 3000 {
			t.Errorf("%d requests of workers that have sent none or 1000", n)
		}
	}
	r, err := l.all(t.Context(), Options{}, 3000)
	if err != nil {
		t.Fatal(err)
	}
	l.Close(nil)
	for i, ended := range l.ended {
		if err := <-ended; err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
	}
	want, known := measure.NewTimes(), len(reasons(r)) == len(r.Invalid)
	for i, f := range fakes {
		want.Merge(f.report.Times("response"))
		// The starts are times of this machine's clock, computed from the wrong one. Both are off by the error of a clock.
		if d := f.start.Sub(fakes[0].start).Abs(); d > 2*MaxApart && known {
			t.Errorf("worker %d starts %s apart from worker 0", i, d)
		}
	}
	if got := r.Times("response").HDR(); !got.Equals(want.HDR()) || got.TotalCount() != 3000 {
		t.Errorf("the merged histogram has %d times, and is not the sum of the parts with %d", got.TotalCount(), want.Count())
	}
	if len(reasons(r)) > 0 || r.Sent != 3000 || r.RunID != "run" || r.Ended != "" {
		t.Errorf("invalid %q, %d sent, run %q, ended %q", r.Invalid, r.Sent, r.RunID, r.Ended)
	}
	if d := r.StartedAt.Sub(fakes[0].start).Abs(); d > MaxApart && known {
		t.Errorf("the report begins %s apart", d)
	}
}

// reasons are those of INVALID, except that a busy machine does not know a clock well.
func reasons(r *report.Report) []string {
	return slices.DeleteFunc(slices.Clone(r.Invalid), func(text string) bool { return strings.Contains(text, "known only to ±") })
}

// What makes a report invalid.
func TestInvalid(t *testing.T) {
	t.Parallel()
	p99, err := slo.ParseList("p99<1us")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change  func(l *lab, f []*fake, stop context.CancelFunc)
		options Options
		sent    int
		invalid string // a pattern
		ended   string
	}{
		"nothing": {func(*lab, []*fake, context.CancelFunc) {}, Options{}, 3000, "", ""},
		"a late worker": {func(_ *lab, f []*fake, _ context.CancelFunc) { f[2].late = time.Minute }, Options{}, 3000,
			`worker 2 started (59|1m\d)[\d.]*s late, limit 10ms`, ""},
		"an early worker": {func(_ *lab, f []*fake, _ context.CancelFunc) { f[0].late = -time.Minute }, Options{}, 3000,
			`worker 0 started (59|1m\d)[\d.]*s early, limit 10ms`, ""},
		"a worker that gets a signal": {func(l *lab, f []*fake, _ context.CancelFunc) {
			for i := range f {
				f[i].do = func(ctx context.Context, _ Hooks) error {
					if i == 1 {
						l.cancels[1]()
					}
					<-ctx.Done()
					return nil
				}
			}
		}, Options{}, 3000, "worker 1 got SIGTERM or SIGINT after", "worker 1 got a signal"},
		"a lost worker": {func(l *lab, f []*fake, _ context.CancelFunc) {
			f[0].late = time.Minute // a reason that is known before
			for i := range f {
				f[i].do = func(ctx context.Context, _ Hooks) error {
					if i == 1 {
						l.mu.Lock()
						m := l.members[1]
						l.mu.Unlock()
						m.end(io.EOF)
					}
					<-ctx.Done()
					return nil
				}
			}
		}, Options{}, 2000, `^worker 1 was lost after .*\nworker 0 started`, "worker 1 was lost"},
		"a worker that fails": {func(_ *lab, f []*fake, _ context.CancelFunc) {
			f[1].do = func(context.Context, Hooks) error { return errors.New("out of sockets") }
		}, Options{}, 2000, "out of sockets", "worker 1 failed"},
		"an interrupt": {func(_ *lab, f []*fake, stop context.CancelFunc) {
			f[1].do = func(ctx context.Context, _ Hooks) error { stop(); return nil }
			f[2].do = func(ctx context.Context, _ Hooks) error { <-ctx.Done(); return nil }
		}, Options{}, 3000, "", "interrupted"},
		"an interrupt that a worker ignores": {func(l *lab, f []*fake, stop context.CancelFunc) {
			l.stopExtent = 2 * time.Second
			l.progress = func(Progress) {
				switch {
				case l.run.canceled:
					l.t.Error("progress after the interrupt")
				case l.run.results[0] && l.run.results[1]: // however busy this machine is
					stop()
				}
			}
			said := ""
			l.Log = func(line string) { said = line }
			l.t.Cleanup(func() {
				if want := "stopping: waits up to 2 s for the reports of 1 of 3 workers"; said != want {
					l.t.Errorf("said %q, want %q", said, want)
				}
			})
			f[2].do = func(context.Context, Hooks) error { <-t.Context().Done(); return nil }
		}, Options{}, 2000, `^worker 2 was lost after [12]?\d\.\d s: no report in time`, "interrupted"}, // before lateTimeout
		"a violated SLO": {func(_ *lab, f []*fake, _ context.CancelFunc) {
			for _, one := range f {
				one.objectives = p99
				one.do = func(ctx context.Context, h Hooks) error {
					select {
					case one.ended = <-h.End:
					case <-ctx.Done():
					}
					return nil
				}
			}
		}, Options{Objectives: p99, EndWhen: func(list []slo.Outlook) string {
			if list[0].Met {
				return ""
			}
			return "SLO violated: " + list[0].Text
		}}, 3000, "", "SLO violated: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fakes := []*fake{{}, {}, {}}
			l := begin(t, fakes...)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			tc.change(l, fakes, stop)
			r, err := l.all(ctx, tc.options, 3000)
			if err != nil {
				t.Fatal(err)
			}
			invalid := strings.Join(reasons(r), "\n")
			if r.Sent != tc.sent || (invalid == "") != (tc.invalid == "") || !regexp.MustCompile(tc.invalid).MatchString(invalid) || !strings.HasPrefix(r.Ended, tc.ended) || (r.Ended == "") != (tc.ended == "") {
				t.Errorf("%d sent, invalid %q, ended %q; want %d, %q, %q", r.Sent, r.Invalid, r.Ended, tc.sent, tc.invalid, tc.ended)
			}
		})
	}
}

// A worker that cannot run ends everything before the start.
func TestPrepare(t *testing.T) {
	t.Parallel()
	l := begin(t, &fake{}, &fake{prepare: errors.New("target unreachable")})
	if _, err := l.all(t.Context(), Options{}, 10); err == nil || err.Error() != "worker 1: target unreachable" {
		t.Errorf("error %v", err)
	}
}

// Who is rejected, and why.
func TestRejected(t *testing.T) {
	t.Parallel()
	l := begin(t, &fake{}, &fake{})
	if err := l.Wait(t.Context(), time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	for want, w := range map[string]Worker{
		"wrong token":                   {Token: "another", Index: -1},
		"worker 1 is already connected": {Token: testToken, Index: 1},
		"all 2 workers are connected":   {Token: testToken, Index: -1},
		"not one of 0 to 1":             {Token: testToken, Index: 2},
	} {
		w.URL, w.Runner, w.Patience = l.url, &fake{}, time.Minute
		var rejected *Rejected
		if err := w.Join(t.Context()); !errors.As(err, &rejected) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", w, err, want)
		}
	}
}

// The coordinator says who is missing, and why.
func TestMissing(t *testing.T) {
	t.Parallel()
	l := begin(t, &fake{}, nil, nil)
	l.Missing = func(context.Context) (map[int]string, bool) {
		return map[int]string{2: "pod x-2: Pending: 0/1 nodes are available"}, false
	}
	err := l.Wait(t.Context(), 100*time.Millisecond, nil)
	const want = "of 3 workers are connected after 100ms"
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "worker 2: pod x-2: Pending: 0/1 nodes are available") {
		t.Errorf("%v, want %s", err, want)
	}
}

// A worker waits for its coordinator, and ends with it.
func TestCoordinatorLost(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := NewCoordinator(1, testToken)
	ended, joined := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- Worker{URL: "http://" + listener.Addr().String(), Token: testToken, Index: -1, Patience: time.Minute, Runner: &fake{}, Log: func(line string) {
			if strings.HasPrefix(line, "joined ") { // before that, it waits for the coordinator
				close(joined)
			}
		}}.Join(t.Context())
	}()
	c.Serve(listener)
	select {
	case <-joined:
	case err := <-ended:
		t.Fatal(err)
	}
	c.server.Close() // without an end of the sessions
	if err := <-ended; err == nil || !strings.HasPrefix(err.Error(), "the coordinator was lost") {
		t.Errorf("error %v", err)
	}
}

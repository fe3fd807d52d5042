package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/capacity"
	"soundcheck/loadgen/cluster"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/report"
)

// distributed is a run with its workers, all in this process.
type distributed struct {
	stdout, stderr string
	code           int
	workers        []error
	parts          string // directory with the workers' parts
}

// lockedBuffer is what several workers write.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(text)
}

var joinLine = regexp.MustCompile(`^  SOUNDCHECK_LOADGEN_TOKEN=(\S+) loadgen -join http://\S+:(\d+)$`)

// coordinate runs "loadgen coordinate" with so many workers, which it starts as the coordinator says. The
// context of a worker can be ended by its index.
func coordinate(t *testing.T, workers int, end func(i int, cancel context.CancelFunc), args ...string) distributed {
	t.Helper()
	return coordinateWith(t, workers, end, nil, args...)
}

// coordinateWith is coordinate with flags for the workers.
func coordinateWith(t *testing.T, workers int, end func(i int, cancel context.CancelFunc), join []string, args ...string) distributed {
	t.Helper()
	quiet := new(lockedBuffer)
	d := coordinateBy(t, workers, end, func(ctx context.Context, args []string, env map[string]string) error {
		return run(ctx, append(args, join...), func(name string) string { return env[name] }, io.Discard, quiet)
	}, args...)
	if text := quiet.String(); text != "" {
		t.Errorf("quiet workers say %q", text)
	}
	return d
}

// coordinateBy is coordinate with a function that runs a worker.
func coordinateBy(t *testing.T, workers int, end func(i int, cancel context.CancelFunc), worker func(ctx context.Context, args []string, env map[string]string) error, args ...string) distributed {
	t.Helper()
	env := map[string]string{"SOUNDCHECK_LOADGEN_EXPLAIN": "false"}
	getenv := func(name string) string { return env[name] }
	r, w := io.Pipe()
	var out, errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		err := run(t.Context(), append([]string{"coordinate"}, args...), getenv, &out, w)
		code := cli.Code("loadgen", w, err)
		w.Close()
		ended <- code
	}()
	joined := make(chan error, workers)
	parts := t.TempDir()
	lines := bufio.NewScanner(io.TeeReader(r, &errs))
	for lines.Scan() {
		m := joinLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		for i := range workers {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if end != nil {
				end(i, cancel)
			}
			go func() {
				joined <- worker(ctx, []string{"-join", "http://127.0.0.1:" + m[2], "-quiet", "-out", filepath.Join(parts, strconv.Itoa(i))},
					map[string]string{tokenVariable: m[1], "JOB_COMPLETION_INDEX": strconv.Itoa(i)})
			}()
		}
	}
	d := distributed{code: <-ended, stdout: out.String(), stderr: errs.String(), parts: parts}
	for range workers {
		d.workers = append(d.workers, <-joined)
	}
	return d
}

// Three workers send each request of the plan once, with its own trace, and the coordinator prints
// one report: the sum of their parts, bucket for bucket.
func TestCoordinate(t *testing.T) {
	t.Parallel()
	var tg *target
	var out string
	var d distributed
	together(t, func() string {
		tg, out = newTarget(t, nil), filepath.Join(t.TempDir(), "run")
		d = coordinate(t, 3, nil, "-workers", "3", "-listen", "127.0.0.1:0", "-rate", "150", "-duration", "2s", "-format", "json", "-url", tg.URL, "-slo", "p99<10s", "-out", out)
		return started.FindString(d.stdout)
	})
	var r report.Report
	if err := json.Unmarshal([]byte(d.stdout), &r); err != nil {
		t.Fatalf("%v: exit code %d, %q, %q", err, d.code, d.stdout, d.stderr)
	}
	if d.code != 0 && d.code != 4 || (d.code == 4) != (len(r.Invalid) > 0) {
		t.Errorf("exit code %d, invalid %q", d.code, r.Invalid)
	}
	wantValid(t, &r)
	if r.Sent != 300 || r.Planned != 300 || r.Processes != 3 || r.Unserved() != 0 || r.Stages != "2s@150" || strings.Contains(r.RunID, " ") || r.RateTarget != 150 || len(r.SLOs) != 1 || !r.SLOs[0].Met {
		t.Errorf("%d of %d sent by %d processes, %d not served, plan %s, run %q, target %g, %v", r.Sent, r.Planned, r.Processes, r.Unserved(), r.Stages, r.RunID, r.RateTarget, r.SLOs)
	}
	for i, err := range d.workers {
		if err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
	}
	var parts []*report.Report
	for i := range 3 {
		part, err := report.Read(filepath.Join(d.parts, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	sum, err := report.Merge(parts)
	stored, err2 := report.Read(out)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for _, name := range []string{"response", "service", "send_delay", "response/get"} {
		if got, want := stored.Times(name).HDR(), sum.Times(name).HDR(); !got.Equals(want) || got.TotalCount() == 0 {
			t.Errorf("%s: %d times, which are not the %d of the parts", name, got.TotalCount(), want.TotalCount())
		}
	}
	traces := map[string]bool{}
	tg.mu.Lock()
	defer tg.mu.Unlock()
	for _, p := range tg.parents {
		traces[p[:35]] = true
	}
	if len(traces) != 300 {
		t.Errorf("%d traces of 300 requests", len(traces))
	}
}

// A worker that gets a signal during the run makes the report invalid, and has delivered its part.
func TestCoordinateLost(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	d := coordinate(t, 2, func(i int, c context.CancelFunc) {
		if i == 1 {
			go func() { // when requests flow
				for {
					tg.mu.Lock()
					n := len(tg.parents)
					tg.mu.Unlock()
					if n > 20 {
						c()
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
	}, "-workers", "2", "-listen", "127.0.0.1:0", "-rate", "50", "-duration", "10m", "-url", tg.URL)
	if d.code != 4 || !strings.Contains(d.stdout, "INVALID       worker 1 got SIGTERM or SIGINT after ") || !strings.Contains(d.stdout, "ended early   worker 1 got a signal") || !strings.Contains(d.stdout, "processes     2, merged") {
		t.Errorf("exit code %d, report\n%s\n%s", d.code, d.stdout, d.stderr)
	}
	if d.workers[0] == nil && d.workers[1] == nil {
		t.Error("the worker that was ended has no error")
	}
}

// Why workers did not begin together: apart is any reason of a search, started that of a start that was measured.
var (
	apart   = regexp.MustCompile(`loadgen: worker \d( started| has a start|: clock)[^\n]*`)
	started = regexp.MustCompile(`worker \d started [^"\n]*`)
)

// together runs a command on several workers until they have begun together, for a minute and at least five times: here, all
// of them share a busy machine, which starts some late, but none early. Run returns the reason why they did not; "": they
// did. If it is the clock each time, nothing can be tested.
func together(t *testing.T, run func() (reason string)) {
	t.Helper()
	late := false
	begun := time.Now()
	for n := 0; n < 5 || time.Since(begun) < time.Minute; n++ {
		reason := run()
		if reason == "" {
			return
		}
		t.Log(reason)
		if strings.Contains(reason, " early, ") {
			t.Fatal("a worker begins before the others")
		}
		late = late || started.MatchString(reason)
	}
	if late {
		t.Fatal("workers do not begin together")
	}
	t.Skip("on a machine that is so busy, clocks of workers cannot be compared")
}

// A capacity search on two workers.
func TestCoordinateCapacity(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, slow(100*time.Millisecond))
	var d distributed
	together(t, func() string {
		d = coordinate(t, 2, nil, "capacity", "-workers", "2", "-listen", "127.0.0.1:0", "-step", "2s", "-warmup", "100ms", "-format", "json", "-mix", "list=1",
			"-slo", "p50<20ms", "-from", "20", "-url", tg.URL)
		if d.code != 4 {
			return ""
		}
		return apart.FindString(d.stderr)
	})
	var r capacity.Result
	if err := json.Unmarshal([]byte(d.stdout), &r); err != nil || d.code != 3 || r.Limit != capacity.Lowest || len(r.Steps) != 1 || r.Steps[0].Requests == 0 {
		t.Errorf("%v: exit code %d, %+v, %s", err, d.code, r, d.stderr)
	}
}

// A step is repeated if its workers did not begin together, and the search ends if one is lost.
func TestStepRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		errs  []error
		lines int
		want  string
	}{
		{[]error{cluster.Broken{Reason: "a"}, cluster.Broken{Reason: "b"}, errors.New("c")}, 2, "c"},
		{[]error{cluster.Broken{Reason: "a"}, cluster.Broken{Reason: "b"}, cluster.Broken{Reason: "c"}, errors.New("d")}, 2, "c"},
		{[]error{cluster.Broken{Reason: "a", Final: true}, errors.New("b")}, 0, "a"},
	} {
		var lines []string
		var before []uint64
		s := &stepper{o: capacityFlags{step: time.Second}, line: func(text string) { lines = append(lines, text) }}
		s.run = func(_ context.Context, c engine.Config) (*report.Report, error) {
			before = append(before, c.Before)
			return nil, tt.errs[len(before)-1]
		}
		if _, err := s.step(t.Context(), 10); err == nil || err.Error() != tt.want || len(lines) != tt.lines || s.n != 1 {
			t.Errorf("%v: error %v, %d steps, %q", tt.errs, err, s.n, lines)
		}
		for i, n := range before {
			if n != uint64(10*i) {
				t.Errorf("attempt %d begins at request %d", i, n)
			}
		}
	}
}

// Bad flags of coordinators and workers.
func TestCoordinateFlags(t *testing.T) {
	t.Parallel()
	flow := folder(t, map[string]string{"f.yaml": "steps: [{name: a, get: /}]"}) + "/f.yaml"
	for args, want := range map[string]string{
		"coordinate":                                                   "-workers is required: 1 to 1000",
		"coordinate -workers 1001":                                     "-workers 1001 is out of range",
		"coordinate -workers 2 -rate 0":                                "-rate 0 (closed model) is for one process: a rate above 0, -stages, or -flow with -users",
		"coordinate -workers 3 -flow " + flow + " -users 2":            "-users 2 is out of range: 3 to 196608 for 3 processes, each with a user of its own",
		"coordinate -workers 2 -flow " + flow + " -users 131073":       "-users 131073 is out of range: 2 to 131072 for 2 processes",
		"coordinate -workers 2 -flow " + flow:                          "-flow needs -users (so many at once) or -rate",
		"coordinate -workers 2 -flow " + flow + " -rate 5 -cookie-jar": "-cookie-jar and -flow do not go together",
		"coordinate -workers 2 -flow " + flow + " -rate 5 -each-once":  "-each-once and -flow do not go together",
		"coordinate -workers 2 -flow " + flow + " -rate 5 -data x":     "-data is for placeholders in a URL argument or -targets",
		"coordinate -workers 2 -users 5":                               "-users and -think need -flow",
		"coordinate -workers 2 -flow none.yaml -rate 5":                "-flow: open none.yaml: no such file",
		"coordinate capacity -workers 2 -slo p99<1s -flow " + flow:     "flag provided but not defined: -flow",
		"coordinate -workers 2 -rate 200001":                           "-rate 200001 is out of range: 0.01 to 200000 for 2 processes",
		"coordinate -workers 2 -listen 7070":                           "-listen: ",
		"coordinate -workers 2 -wait 1ms":                              "-wait 1ms is out of range",
		"coordinate -workers 2 -shard 1/2":                             "flag provided but not defined: -shard",
		"coordinate capacity -workers 2":                               "-slo is required",
		"coordinate capacity -workers 0 -slo p99<1s":                   "-workers is required",
		"-join http://127.0.0.1:1 -rate 5":                             "-join and -rate do not go together",
		"-join 127.0.0.1:1":                                            "-join: ",
		"-join http://127.0.0.1:1":                                     "set SOUNDCHECK_LOADGEN_TOKEN",
		"-token x":                                                     "-token needs -join",
	} {
		stdout, stderr, code := loadgen(t.Context(), strings.Fields(args)...)
		if code != 2 || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("loadgen %s: exit code %d, %q, %q; want %q", args, code, stdout, stderr, want)
		}
	}
}

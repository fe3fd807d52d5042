package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/loadgen/report"
)

// buyFlow has a row of a file and a value of gofakeit for each user. The second step of user 7 fails.
const buyFlow = `name: buy
data: rows.csv
fake: {email: "{email}"}
steps:
  - {name: look, get: "/look?user={{user}}&row={{row}}&email={{email}}", extract: {ok: $.ok}}
  - {name: pay, post: /pay, json: {user: "{{user}}"}, check: ["ok && user != 7"]}
`

// shop is a service for users of flows. It stores each request and the traces.
type shop struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []string
	traces map[string]bool
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{traces: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, r.Method+" "+r.RequestURI)
		s.traces[strings.Split(r.Header.Get("Traceparent"), "-")[1]] = true
		fmt.Fprint(w, `{"ok":true}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// take returns the requests so far, in order, and the number of traces.
func (s *shop) take() (requests []string, traces int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests, traces = s.seen, len(s.traces)
	s.seen, s.traces = nil, map[string]bool{}
	slices.Sort(requests)
	return requests, traces
}

// rows returns a data file.
func rows(n int) string {
	text := "row\n"
	for i := range n {
		text += fmt.Sprintf("r%02d\n", i)
	}
	return text
}

// wantValid checks that a report is valid but for a busy machine. Workers that begin apart are none: see together.
func wantValid(t *testing.T, r *report.Report) {
	t.Helper()
	for _, reason := range r.Invalid {
		if !regexp.MustCompile(`p99 send delay|known only to|could not be checked`).MatchString(reason) {
			t.Errorf("INVALID %s", reason)
		}
	}
}

// decodeFlow decodes the report of a run that is valid but for a busy machine.
func decodeFlow(t *testing.T, stdout, stderr string) *report.Report {
	t.Helper()
	r := new(report.Report)
	if err := json.Unmarshal([]byte(stdout), r); err != nil || r.Flow == nil {
		t.Fatalf("%v: %q, %q", err, stdout, stderr)
	}
	wantValid(t, r)
	return r
}

// counts are what does not depend on time: the same however many workers there are.
func counts(r *report.Report) (list []any) {
	f := r.Flow
	list = []any{r.Sent, r.Model, r.Workers, r.Planned, r.Limit, r.Max, r.Seed, r.Stages, r.BytesSent, r.BytesReceived, r.Errors, r.Classes, r.Cancelled, r.Unserved(),
		f.Name, f.Users, f.Think, f.Planned, f.RateTarget, f.Begun, f.Completed, f.Failed, f.Unfinished, f.WarmUp, f.Duration.Count, len(f.Slowest)}
	for _, row := range r.Scenarios {
		list = append(list, row.Name, row.Requests, row.Classes, row.Statuses, row.Response.Count)
	}
	for _, c := range r.FailedChecks {
		list = append(list, c.Scenario, c.Check, c.Requests)
	}
	for _, v := range r.SLOs {
		list = append(list, v.SLO, v.Met)
	}
	return list
}

// Three workers have the users of one process, each with their number, row, values and trace, and one report of them.
func TestFlowWorkers(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"buy.yaml": buyFlow, "rows.csv": rows(40)})
	for name, args := range map[string]string{
		"open":     "-rate 100 -n 40",
		"closed":   "-users 7 -n 40",
		"stages":   "-users 200ms@1..5,1m@5 -n 40 -think 1ms..5ms",
		"few":      "-users 3 -n 2",
		"poisson":  "-rate 1000 -n 40 -arrivals poisson",
		"one user": "-rate 50 -n 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			args := append(strings.Fields(args), "-flow", filepath.Join(dir, "buy.yaml"), "-seed", "5", "-format", "json", "-url", s.URL, "-slo", "good(buy)>99%,failed(pay)<50%,p99(buy)<10m")
			stdout, stderr, _ := loadgen(t.Context(), append(args, "-keep", "")...)
			want := decodeFlow(t, stdout, stderr)
			wantRequests, wantTraces := s.take()
			var d distributed
			together(t, func() string {
				s.take()
				d = coordinate(t, 3, nil, append(args, "-workers", "3", "-listen", "127.0.0.1:0")...)
				return started.FindString(d.stdout)
			})
			r := decodeFlow(t, d.stdout, d.stderr)
			if a, b := counts(r), counts(want); !reflect.DeepEqual(a, b) {
				t.Errorf("three workers have %v, one has %v", a, b)
			}
			requests, traces := s.take()
			if !slices.Equal(requests, wantRequests) || traces != wantTraces || traces == 0 {
				t.Errorf("%d traces, requests %q\nwant %d, %q", traces, requests, wantTraces, wantRequests)
			}
			if r.Flow.RateActual <= 0 || r.Flow.Peak == 0 || r.Processes != 3 {
				t.Errorf("%+v, %d processes", r.Flow, r.Processes)
			}
			for i, err := range d.workers {
				if err != nil {
					t.Errorf("worker %d: %v", i, err)
				}
			}
		})
	}
}

// The population is divided exactly: each of its slots has a user of its own.
func TestPopulationOfWorkers(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"-users 20 -duration 2s": 20, "-users 200ms@1..19.5,2s@20": 20, "-users 3 -duration 2s": 3} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			look, _, _ := strings.Cut(buyFlow, "  - {name: pay") // who has looked thinks until the end
			dir := folder(t, map[string]string{"buy.yaml": look, "rows.csv": rows(20)})
			var d distributed
			together(t, func() string {
				s.take()
				d = coordinate(t, 3, nil, append(strings.Fields(args), "-flow", dir+"/buy.yaml", "-think", "1h", "-format", "json", "-url", s.URL, "-workers", "3", "-listen", "127.0.0.1:0")...)
				return started.FindString(d.stdout)
			})
			r := decodeFlow(t, d.stdout, d.stderr)
			requests, _ := s.take()
			var all []string
			for i := range want {
				all = append(all, fmt.Sprintf("user=%d&row=r%02d&", i, i))
			}
			if f := r.Flow; len(requests) != want || !reflect.DeepEqual(numbers(requests), numbers(all)) || f.Peak != want || r.Workers != want || f.Begun != want || f.Completed != want {
				t.Errorf("%d workers, %+v, %d requests %q, want %d users", r.Workers, r.Flow, len(requests), requests, want)
			}
			for i := range 3 {
				part, err := report.Read(filepath.Join(d.parts, strconv.Itoa(i)))
				if err != nil {
					t.Fatal(err)
				}
				if n := (want - i + 2) / 3; part.Workers != n || part.Flow.Peak != n || part.Flow.Begun != n {
					t.Errorf("worker %d has %d slots, %+v, want %d", i, part.Workers, part.Flow, n)
				}
			}
		})
	}
}

// numbers are the users of requests, with their rows.
func numbers(requests []string) map[string]bool {
	list := map[string]bool{}
	for _, text := range requests {
		list[regexp.MustCompile(`user=\d+&row=\w+`).FindString(text)] = true
	}
	return list
}

// lostFlow runs a flow on three workers, and ends worker 1 when nine users have begun. It does so at most three times: a busy
// machine can make others too slow for their report.
func lostFlow(t *testing.T, worker func(ctx context.Context, args []string, env map[string]string) error, args string) (d distributed) {
	t.Helper()
	for range 3 {
		if d = loseFlow(t, worker, args); !strings.Contains(d.stdout+d.stderr, "no report") {
			return d
		}
		t.Log(d.stderr)
	}
	t.Fatal("three runs without a worker's report")
	return d
}

func loseFlow(t *testing.T, worker func(ctx context.Context, args []string, env map[string]string) error, args string) distributed {
	t.Helper()
	s := newShop(t)
	dir := folder(t, map[string]string{"buy.yaml": buyFlow, "rows.csv": rows(20)})
	return coordinateBy(t, 3, func(i int, cancel context.CancelFunc) {
		if i != 1 {
			return
		}
		go func() {
			for n := 0; n < 9 && t.Context().Err() == nil; time.Sleep(time.Millisecond) {
				s.mu.Lock()
				n = len(s.seen)
				s.mu.Unlock()
			}
			cancel()
		}()
	}, worker, append(strings.Fields(args), "-flow", dir+"/buy.yaml", "-think", "1h", "-duration", "10m", "-url", s.URL, "-workers", "3", "-listen", "127.0.0.1:0")...)
}

// A worker that gets a signal delivers its users. Without those of one that is killed, the report has the plan of all.
func TestFlowWorkerLost(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{"-users 9": "9 users (closed model)", "-rate 30": " of 18000 planned: "} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			d := lostFlow(t, func(ctx context.Context, args []string, env map[string]string) error {
				return run(ctx, args, func(name string) string { return env[name] }, io.Discard, io.Discard)
			}, args)
			if d.code != 4 || !strings.Contains(d.stdout, "INVALID       worker 1 got SIGTERM or SIGINT after ") || !strings.Contains(d.stdout, want) ||
				!regexp.MustCompile(`0 completed \(0.00%\), 0 failed, (9|\d\d+) unfinished`).MatchString(d.stdout) || !strings.Contains(d.stdout, "processes     3, merged") {
				t.Errorf("exit code %d, want %q in\n%s\n%s", d.code, want, d.stdout, d.stderr)
			}
			d = lostFlow(t, func(ctx context.Context, args []string, env map[string]string) error {
				c := exec.CommandContext(ctx, os.Args[0], args...) // SIGKILL when ctx ends
				c.Env = append(os.Environ(), asLoadgen+"=true")
				for name, value := range env {
					c.Env = append(c.Env, name+"="+value)
				}
				return c.Run()
			}, args)
			if d.code != 4 || !strings.Contains(d.stdout, "INVALID       worker 1 was lost after ") || !strings.Contains(d.stdout, want) ||
				!regexp.MustCompile(`0 completed \(0.00%\), 0 failed, [1-9]\d* unfinished`).MatchString(d.stdout) || !strings.Contains(d.stdout, "processes     2, merged") {
				t.Errorf("exit code %d, want %q in\n%s\n%s", d.code, want, d.stdout, d.stderr)
			}
		})
	}
}

// An SLO on the flow is judged during the run, by the users of all workers.
func TestFlowWorkersAbort(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	dir := folder(t, map[string]string{"f.yaml": "steps:\n  - {name: a, get: /, check: [status == 201]}\n"})
	d := coordinate(t, 2, nil, "-rate", "200", "-duration", "10m", "-flow", dir+"/f.yaml", "-slo", "failed(f)<50%", "-abort-on-slo", "-url", s.URL, "-workers", "2", "-listen", "127.0.0.1:0")
	if !strings.Contains(d.stdout, "ended early   SLO failed(f)<50% violated") || d.code != 3 && d.code != 4 {
		t.Errorf("exit code %d\n%s\n%s", d.code, d.stdout, d.stderr)
	}
}

package engine

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

// Users who have begun complete their flow after the end of the plan, unless the run ends early.
func TestFlowEnds(t *testing.T) {
	t.Parallel()
	text := "name: f\nsteps:\n  - {name: a, get: /, think: 300ms}\n  - {name: b, get: /}\n"
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	c, _ := flowConfig(t, nothing, text)
	c.Plan = steady(100, 200*time.Millisecond)
	if r := run(t, c); r.Flow.Completed != 20 || r.Flow.Unfinished != 0 || r.Sent != 40 || len(r.Invalid) > 0 && !strings.Contains(r.Invalid[0], "send delay") {
		t.Errorf("%+v; %v", r.Flow, r.Invalid)
	}
	// Without the think time the run would take a day.
	c, _ = flowConfig(t, nothing, strings.Replace(text, "300ms", "1h", 1))
	c.Plan = steady(100, time.Hour)
	end := make(chan string, 1)
	c.End = end
	var once sync.Once
	at := time.Duration(0)
	c.Progress = func(p Progress) {
		if p.Users > 10 {
			once.Do(func() { at = p.Elapsed; end <- "enough" })
		}
	}
	r := run(t, c)
	// The first has been thinking since the start. Without the think time so far, a user would have taken a response time.
	if f := r.Flow; f.Longest < at.Seconds() || f.Longest > r.Elapsed {
		t.Errorf("the longest time of an unfinished user is %g s, of a run of %g s that was ended after %s", f.Longest, r.Elapsed, at)
	}
	if f := r.Flow; f.Unfinished == 0 || f.Completed != 0 || f.Begun != f.Unfinished || r.Sent != f.Begun || r.Ended != "enough" {
		t.Errorf("%+v; %d requests, ended %q", f, r.Sent, r.Ended)
	}
}

// The think time after the last user does not delay the end of a closed population, by time or by number of users.
func TestLastThinkTime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		plan    schedule.Plan
		elapsed float64
	}{
		"time":  {schedule.Plan{Stages: []schedule.Stage{{Duration: 300 * time.Millisecond}}}, 0.3},
		"users": {schedule.Plan{Stages: []schedule.Stage{{Duration: time.Hour}}, Max: 2}, 0.003},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := flowOf(t, "name: f\nsteps:\n  - {name: a, get: /, think: 1h}\n")
			synctest.Test(t, func(t *testing.T) {
				c := fakeUsers(f, quick(0, 0, served{}))
				c.Plan, c.Workers = tt.plan, 2
				r := run(t, c)
				if f := r.Flow; f.Completed != 2 || f.Begun != 2 || r.Elapsed != tt.elapsed {
					t.Errorf("%+v; %g s, want %g", f, r.Elapsed, tt.elapsed)
				}
			})
		})
	}
}

// Users who have begun before Plan.Max ended the plan may be on their way until Grace after its duration.
func TestMaxExtent(t *testing.T) {
	t.Parallel()
	for think, want := range map[string]struct {
		completed int
		elapsed   time.Duration // of the run; with the scheduled time of the last user, and responses of 3 ms
	}{
		"75s": {4, 75*time.Second + 36*time.Millisecond},
		"1h":  {0, 5*time.Minute + Grace},
	} {
		t.Run(think, func(t *testing.T) {
			t.Parallel()
			f := flowOf(t, "name: f\nsteps:\n  - {name: a, get: /, think: "+think+"}\n  - {name: b, get: /}\n")
			synctest.Test(t, func(t *testing.T) {
				c := fakeUsers(f, quick(0, 0, served{}))
				c.Plan, c.MaxWorkers = steady(100, 5*time.Minute), 4
				c.Plan.Max = 4
				began := time.Now()
				r := run(t, c)
				if took := time.Since(began); r.Flow.Completed != want.completed || took != want.elapsed || took > c.MaxExtent() {
					t.Errorf("%+v after %s, want %d completed after %s, and MaxExtent %s", r.Flow, took, want.completed, want.elapsed, c.MaxExtent())
				}
				if c.Flow = nil; c.MaxExtent() != 40*time.Millisecond+c.Timeout {
					t.Errorf("MaxExtent %s without a flow", c.MaxExtent())
				}
			})
		})
	}
}

// Neither who thinks while the last user begins, nor who would join later, delays the end.
func TestLastUserBegins(t *testing.T) {
	t.Parallel()
	c, _ := flowConfig(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "name: f\nsteps:\n  - {name: a, get: /, think: 1h}\n")
	// One user at first, another one after 200 ms, and a third one after half an hour.
	c.Users = []schedule.Stage{{Duration: 200 * time.Millisecond, From: 1, To: 1}, {Duration: time.Hour, From: 1.5, To: 2.5}}
	c.Plan, c.Workers = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Hour}}, Max: 2}, 3
	r := run(t, c)
	if f := r.Flow; f.Completed != 2 || f.Begun != 2 || r.Elapsed > Grace.Seconds() {
		t.Errorf("%+v; %g s", f, r.Elapsed)
	}
}

// The shards of a population have together, at each level, as many users as one process, and none has two more than
// another.
func TestSharesOfPopulation(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel() // who is not there now does not wait
	for level, want := range map[float64]int{0: 0, 0.5: 1, 1: 1, 4: 4, 4.2: 5, 19: 19, 20: 20} {
		for shards := range uint64(6) {
			sum, low, high := 0, 20, 0
			for shard := range max(shards, 1) {
				c := Config{Users: []schedule.Stage{{Duration: time.Hour, From: level, To: level}, {Duration: time.Hour, From: 20, To: 20}}, Plan: schedule.Plan{Shard: shard, Shards: shards}}
				tr := &transport{c: c, pacer: schedule.NewPacer(t.Context(), schedule.Pacing{Plan: c.Plan}), users: users{next: over}}
				tr.pacer.Begin(0)
				n := 0
				for index := range int(c.Plan.Share(20)) {
					if due := (time.Time{}); tr.joins(index, &due) {
						n++
					}
				}
				sum, low, high = sum+n, min(low, n), max(high, n)
			}
			if sum != want || high-low > 1 {
				t.Errorf("%d shards have %d users at level %g, between %d and %d each, want %d", shards, sum, level, low, high, want)
			}
		}
	}
}

// The users of a closed population begin at the start of the plan, and the plan has its whole duration after it. Without a
// share of the users, a shard ends at once.
func TestPopulationStartsAt(t *testing.T) {
	t.Parallel()
	var first, last atomic.Int64
	c, _ := flowConfig(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		first.CompareAndSwap(0, time.Now().UnixNano())
		last.Store(time.Now().UnixNano())
	}), "name: f\nsteps:\n  - {name: a, get: /, think: 10ms}\n")
	start := time.Now().Add(900 * time.Millisecond)
	sent := make(chan time.Duration, 1)
	c.Plan, c.Workers, c.StartAt = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Second}}}, 3, start
	c.FirstSent = func(scheduled time.Duration, at time.Time) { sent <- max(scheduled, start.Sub(at)) }
	r := run(t, c)
	if begin, end := time.Unix(0, first.Load()), time.Unix(0, last.Load()); begin.Before(start) || end.Sub(start) < 200*time.Millisecond || !r.StartedAt.Equal(start) {
		t.Errorf("requests from %s to %s of the start; %s, %+v", begin.Sub(start), end.Sub(start), r.StartedAt, r.Flow)
	}
	if d := <-sent; d > 0 { // a delay of the start would be hidden
		t.Errorf("the first request was scheduled %s after the start, or sent before it", d)
	}
	c.Plan, c.StartAt = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Hour}}, Max: 1, Shard: 1, Shards: 2}, time.Now().Add(time.Hour)
	c.Users = []schedule.Stage{{Duration: time.Hour, From: 0, To: 6}}
	if r := run(t, c); r.Flow.Begun != 0 || r.Sent != 0 || r.Limit != report.LimitRequests {
		t.Errorf("%+v, limit %q", r.Flow, r.Limit)
	}
}

// Links are relative to the response that they come from, at a service whose URL has a path and after a redirect.
func TestLinks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var paths []string
	c, _ := flowConfig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.String())
		if r.URL.Path == "/api/old" {
			http.Redirect(w, r, "/api/v2/list", http.StatusFound)
			return
		}
		w.Header().Set("Location", "/api/first")
		fmt.Fprint(w, `{"next":"page?n=2"}`)
	}), "name: f\nsteps:\n  - {name: a, get: /old, extract: {next: $.next, first: {header: Location}}}\n  - {name: b, get: '{{next}}'}\n  - {name: c, get: '{{first}}'}\n")
	c.URL, c.Connect.Redirects = c.URL+"/api", 3
	c.Plan, c.Workers = schedule.Plan{Stages: []schedule.Stage{{Duration: time.Minute}}, Max: 1}, 1
	if r := run(t, c); r.Flow.Completed != 1 || strings.Join(paths, " ") != "/api/old /api/v2/list /api/v2/page?n=2 /api/first" {
		t.Errorf("%+v, %v", r.Flow, paths)
	}
}

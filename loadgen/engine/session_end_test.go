package engine

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

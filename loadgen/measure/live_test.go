package measure

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// The sum of the parts of several collectors is what one collector of all requests has.
func TestSum(t *testing.T) {
	t.Parallel()
	collector := func() *Collector {
		return NewCollector([]string{"get", "list"}, []string{"get"}, time.Second, 1)
	}
	all, sum, r := collector(), NewSum(), rand.New(rand.NewPCG(1, 2))
	workers := []*Collector{collector(), collector(), collector()}
	for _, w := range workers {
		w.CountParts()
	}
	send := func() {
		for _, w := range workers {
			b, err := json.Marshal(w.TakeParts())
			if err != nil {
				t.Fatal(err)
			}
			var parts []Part
			if err := json.Unmarshal(b, &parts); err != nil {
				t.Fatal(err)
			}
			if err := sum.Add(parts); err != nil {
				t.Fatal(err)
			}
			if rest := w.TakeParts(); len(rest) != 0 {
				t.Errorf("%d parts twice", len(rest))
			}
		}
	}
	requests := 0
	for second := range 700 { // the intervals are doubled
		for range 20 {
			class := Classes[min(r.IntN(30), 3)]
			if r.IntN(2) == 0 {
				class = Good
			}
			at := time.Duration(second)*time.Second + time.Duration(r.IntN(2e9)) - time.Second // some of the second before
			q := Request{Scenario: []string{"get", "list"}[r.IntN(2)], Class: class, Status: 200, Scheduled: at, Response: time.Duration(r.ExpFloat64() * 1e7)}
			w := workers[r.IntN(3)]
			w.Add(q)
			all.Add(q)
			requests++
		}
		if second%300 == 0 {
			workers[1].AddUnsent(time.Duration(second) * time.Second)
			all.AddUnsent(time.Duration(second) * time.Second)
			requests++
		}
		if second%7 == 0 {
			send()
		}
	}
	send()
	if w, want := sum.Window(), all.Window(); w.Requests != requests || w.P50 != want.P50 || w.P99 != want.P99 || w.SendDelay != 0 {
		t.Errorf("window %+v, want %+v", w, want)
	}
	if w := sum.Window(); w.Requests != 0 || w.P99 != 0 {
		t.Errorf("second window %+v, want none", w)
	}
	for _, scenario := range []string{"", "get"} {
		got, intervals := sum.Of(scenario)
		want, wanted := all.Of(scenario)
		wantSame(t, "sum of "+scenario, got.Served, want.Served)
		for _, class := range Classes {
			if got.Classes[class] != want.Classes[class] {
				t.Errorf("%q: %v, want %v", scenario, got.Classes, want.Classes)
			}
		}
		if len(intervals) != len(wanted) || len(wanted) != 350 {
			t.Fatalf("%q: %d intervals, want %d", scenario, len(intervals), len(wanted))
		}
		for i, v := range intervals {
			if v.Classes != wanted[i].Classes || v.Summary() != wanted[i].Summary() || v.Served.Populated() != wanted[i].Served.Populated() {
				t.Errorf("%q, interval %d: %v %+v, want %v %+v", scenario, i, v.Classes, v.Summary(), wanted[i].Classes, wanted[i].Summary())
			}
		}
	}
	if cell, intervals := sum.Of("list"); cell != nil || intervals != nil {
		t.Error("parts of a scenario without intervals")
	}
	if parts := all.TakeParts(); parts != nil {
		t.Errorf("%d parts without CountParts", len(parts))
	}
}

func TestSumRejects(t *testing.T) {
	t.Parallel()
	c := NewCollector([]string{"get"}, nil, time.Second, 1)
	c.CountParts()
	c.Add(Request{Scenario: "get", Class: Good, Response: time.Second})
	good := c.TakeParts()[0]
	many := make([]Part, maxScenarios+1)
	for i := range many {
		many[i].Scenario = strings.Repeat("a", i+1)
	}
	for want, bad := range map[string][]Part{
		`part of scenario "", second -1: the second is out of range: 0 to 90000`:       {{Second: -1}},
		`part of scenario "get", second 90001: the second is out of range: 0 to 90000`: {{Scenario: "get", Second: 90001}},
		`part of scenario "", second 0: decode histogram: `:                            {{Served: "x"}},
		`part of scenario "", second 0: 0 response times of 1 served requests`:         {{Classes: [4]int{1}}},
		`part of scenario "", second 0: 1 response times of 0 served requests`:         {{Served: good.Served}},
		`part of scenario "", second 0: -1 failed requests`:                            {{Classes: [4]int{0, 0, 0, -1}}},
		`parts of 101 scenarios, at most 100`:                                          many,
	} {
		s := NewSum()
		if err := s.Add(append([]Part{good}, bad...)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Add = %v, want %s", err, want)
		}
		if c, _ := s.Of(""); c.Requests() != 0 || len(s.cells) != 1 {
			t.Errorf("%s: some parts are added", want)
		}
	}
	s := NewSum()
	if err := s.Add([]Part{{Second: 90_000, Classes: [4]int{0, 0, 1}}}); err != nil {
		t.Error(err)
	}
	if _, list := s.Of(""); len(list) > MaxIntervals {
		t.Errorf("%d intervals", len(list))
	}
}

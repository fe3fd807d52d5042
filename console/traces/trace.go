// Package traces reads traces from Jaeger and summarizes each for lists and the service
// map: some hundred bytes instead of all its spans. It searches them by conditions that Jaeger
// cannot check (Filter), and reads files of traces (ReadFile).
//
// It finds the root and missing spans of a trace in the same way as console/web/lib/trace.js
// does for the page of one trace; both are tested with the same traces.
package traces

import (
	"cmp"
	"slices"
	"strings"

	"soundcheck/internal/jaegerapi"
)

// Summary is a trace's entry in a list.
type Summary struct {
	ID       string    `json:"id"`
	Service  string    `json:"service"` // of the root
	Name     string    `json:"name"`    // of the root
	Status   any       `json:"status,omitempty"`
	Start    int64     `json:"start"`    // µs since 1970
	Duration int64     `json:"duration"` // µs, from the first span's start to the last one's end
	Spans    int       `json:"spans"`
	Errors   int       `json:"errors"`   // spans that failed
	Services []Service `json:"services"` // in the order in which they appear
	// Incomplete means that the root, or the parent of a span, is missing.
	Incomplete bool `json:"incomplete,omitempty"`
	// Matched are the spans that match the filter of the search, and Match is the id of the first.
	Matched int    `json:"matched,omitempty"`
	Match   string `json:"match,omitempty"`
}

// Service is a service with its number of spans in a trace.
type Service struct {
	Name  string `json:"name"`
	Spans int    `json:"spans"`
}

// Edge is the number of calls from one service to another, or to a database.
type Edge struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Kind  string `json:"kind"` // call or db
	Calls int    `json:"calls"`
}

// trace is a trace whose spans have pointers to their parents: see link.
type trace struct {
	*jaegerapi.Trace
	spans []*span
}

type span struct {
	*jaegerapi.Span
	service string
	parent  *span
	orphan  bool
}

func newTrace(t *jaegerapi.Trace) *trace {
	spans := make([]*span, len(t.Spans))
	for i, s := range t.Spans {
		spans[i] = &span{Span: s, service: cmp.Or(t.Service(s), "unknown")}
	}
	return &trace{t, spans}
}

func (s *span) end() int64 { return s.StartTime + s.Duration }

// first orders spans by start time, the longer one first.
func first(a, b *span) int {
	return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), cmp.Compare(b.end(), a.end()), strings.Compare(a.SpanID, b.SpanID))
}

// link finds each span's parent, drops duplicate spans, and returns the roots, the
// first one first; those of cycles are behind the others.
func (t *trace) link() (roots []*span) {
	byID := map[string]*span{}
	t.spans = slices.DeleteFunc(t.spans, func(s *span) bool {
		twin := byID[s.SpanID]
		if twin == nil {
			byID[s.SpanID] = s
		}
		return twin != nil && twin.StartTime == s.StartTime && twin.Duration == s.Duration && twin.OperationName == s.OperationName
	})
	for _, s := range t.spans {
		parent := t.Parent(s.Span)
		if parent == "" {
			continue
		}
		if s.parent = byID[parent]; s.parent == s {
			s.parent = nil
		} else if s.parent == nil {
			s.orphan = true
		}
	}
	slices.SortStableFunc(t.spans, first)
	below := map[*span]bool{nil: true} // spans that a root is above
	from := map[*span]*span{}          // where the way through a span began
	var cycles []*span
	for _, s := range t.spans {
		var way []*span
		at := s
		for !below[at] && from[at] != s {
			from[at] = s
			way = append(way, at)
			at = at.parent
		}
		if !below[at] { // a cycle has no root: use its earliest span
			s.parent, s.orphan = nil, true
			cycles = append(cycles, s)
		} else if s.parent == nil {
			roots = append(roots, s)
		}
		for _, w := range way {
			below[w] = true
		}
	}
	return append(roots, cycles...)
}

// summary returns a trace's summary; ok is false for a trace without spans.
func (t *trace) summary() (_ Summary, ok bool) {
	roots := t.link()
	if len(roots) == 0 {
		return Summary{}, false
	}
	root := roots[0]
	s := Summary{ID: t.TraceID, Service: root.service, Name: root.OperationName, Status: root.Tags.Get("http.response.status_code"), Start: t.spans[0].StartTime,
		Spans: len(t.spans), Incomplete: len(roots) > 1 || root.orphan}
	end := root.end()
	for _, x := range t.spans {
		end = max(end, x.end())
		if x.Failed() {
			s.Errors++
		}
		i := slices.IndexFunc(s.Services, func(c Service) bool { return c.Name == x.service })
		if i < 0 {
			i, s.Services = len(s.Services), append(s.Services, Service{Name: x.service})
		}
		s.Services[i].Spans++
	}
	s.Duration = end - s.Start
	return s, true
}

// edges counts calls between services. A database call is a client span with db.system
// set.
func edges(list []*trace) []Edge {
	type key struct{ from, to, kind string }
	found := map[key]int{}
	for _, t := range list {
		t.link()
		for _, s := range t.spans {
			if s.parent != nil && s.parent.service != s.service {
				found[key{s.parent.service, s.service, "call"}]++
			}
			if db, ok := s.Tags.Get("db.system.name", "db.system").(string); ok && s.Tags.Get("span.kind") == "client" {
				found[key{s.service, db, "db"}]++
			}
		}
	}
	all := []Edge{}
	for k, n := range found {
		all = append(all, Edge{k.from, k.to, k.kind, n})
	}
	slices.SortFunc(all, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To), strings.Compare(a.Kind, b.Kind))
	})
	return all
}

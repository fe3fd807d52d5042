package explain

import (
	"cmp"
	"slices"
	"time"
)

// Span is one span of a trace.
type Span struct {
	ID, Parent string
	Service    string
	Name       string
	Kind       string // client, server, internal, …
	Start, End time.Time
}

// Part is the self time of spans with a name.
type Part struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
}

// top returns the topmost span of a request in its trace. Complete: no span above the others is missing.
func top(trace []Span, id string) (s Span, complete bool) {
	s, complete = root(trace)
	if id == "" {
		return s, complete
	}
	i := slices.IndexFunc(trace, func(s Span) bool { return s.ID == id })
	if i < 0 {
		return Span{}, false
	}
	return trace[i], complete
}

// root returns the first span without a parent in the trace. Complete: it is the only one, and
// it has no parent id, so that no span above the others is missing.
func root(trace []Span) (r Span, complete bool) {
	ids := map[string]bool{}
	for _, s := range trace {
		ids[s.ID] = true
	}
	var roots []Span
	for _, s := range trace {
		if !ids[s.Parent] {
			roots = append(roots, s)
		}
	}
	if len(roots) == 0 {
		return Span{}, false
	}
	r = slices.MinFunc(roots, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return r, len(roots) == 1 && r.Parent == ""
}

// criticalPath attributes each part of the root's duration to a span: the deepest one that the
// root waited for. It walks backwards from the end: the child that ended last, then the child
// that ended last before that one started, and so on. The gaps are the span's self time. The
// parts add up to the root's duration.
func criticalPath(trace []Span, r Span, blame func(s Span, from, to time.Time)) {
	children := map[string][]Span{}
	for _, s := range trace {
		if s.ID != r.ID {
			children[s.Parent] = append(children[s.Parent], s)
		}
	}
	var walk func(s Span, from, to time.Time, depth int)
	walk = func(s Span, from, to time.Time, depth int) {
		list := slices.Clone(children[s.ID])
		slices.SortFunc(list, func(a, b Span) int { return cmp.Or(b.End.Compare(a.End), b.Start.Compare(a.Start)) })
		for _, c := range list {
			// A child that outlives its parent, or has another clock, is clipped to the parent.
			start, end := c.Start, c.End
			if start.Before(from) {
				start = from
			}
			if end.After(to) {
				end = to
			}
			if !start.Before(end) || depth > maxDepth {
				continue
			}
			blame(s, end, to)
			walk(c, start, end, depth+1)
			to = start
		}
		blame(s, from, to)
	}
	walk(r, r.Start, r.End, 0)
}

// maxDepth ends the walk through a trace with a cycle.
const maxDepth = 100

// Package criticalpath attributes the duration of a trace to its spans. loadgen's tail-latency
// attribution and the console's trace page both use it.
package criticalpath

import (
	"cmp"
	"slices"
	"time"

	"soundcheck/internal/jaegerapi"
)

// Span is one span of a trace.
type Span struct {
	ID, Parent string
	Service    string
	Name       string
	Kind       string // client, server, internal, …
	Start, End time.Time
}

// Spans returns the spans of a trace in Jaeger's JSON, in its order.
func Spans(t *jaegerapi.Trace) []Span {
	list := make([]Span, len(t.Spans))
	for i, s := range t.Spans {
		list[i] = Span{ID: s.SpanID, Parent: t.Parent(s), Service: t.Service(s), Name: s.OperationName,
			Kind: s.Tags.Text("span.kind"), Start: s.Start(), End: s.End()}
	}
	return list
}

// Root returns the first span without a parent in the trace, or, if parents form cycles only, the
// first span. Complete: it is the only one without a parent, and it has no parent id, so that no
// span above the others is missing.
func Root(trace []Span) (r Span, complete bool) {
	ids := map[string]bool{}
	for _, s := range trace {
		ids[s.ID] = true
	}
	var roots []Span
	for _, s := range trace {
		if !ids[s.Parent] || s.Parent == s.ID {
			roots = append(roots, s)
		}
	}
	switch {
	case len(trace) == 0:
		return Span{}, false
	case len(roots) == 0:
		return slices.MinFunc(trace, first), false
	}
	r = slices.MinFunc(roots, first)
	return r, len(roots) == 1 && r.Parent == ""
}

// first orders spans by start time, the longer one first.
func first(a, b Span) int {
	return cmp.Or(a.Start.Compare(b.Start), b.End.Compare(a.End), cmp.Compare(a.ID, b.ID))
}

// Part is a part of the root's duration, attributed to a span.
type Part struct {
	Span     Span
	From, To time.Time
}

// Path attributes each part of the root's duration to a span: the deepest one that the root
// waited for. It walks backwards from the end: the child that ended last, then the child that
// ended last before that one started, and so on. The gaps are the span's self time. The parts
// are latest first, do not overlap, and add up to the root's duration.
func Path(trace []Span, root Span) []Part {
	children := tree(trace, root.ID)
	var parts []Part
	blame := func(s Span, from, to time.Time) {
		if from.Before(to) {
			parts = append(parts, Part{s, from, to})
		}
	}
	var walk func(s Span, below []int, from, to time.Time)
	walk = func(s Span, below []int, from, to time.Time) {
		for _, i := range below {
			// A child that outlives its parent, or has another clock, counts only within its
			// parent's time on the path.
			c := trace[i]
			start, end := later(c.Start, from), earlier(c.End, to)
			if !start.Before(end) {
				continue
			}
			blame(s, end, to)
			walk(c, children[i], start, end)
			to = start
		}
		blame(s, from, to)
	}
	walk(root, children[of(trace, root.ID)], root.Start, root.End)
	return parts
}

// tree returns the children of each span by index, the one that ended last first. A span whose id
// another one has already has no children, and the root is the child of none: so there are no cycles
// below the root.
func tree(trace []Span, root string) map[int][]int {
	index := map[string]int{}
	for i, s := range trace {
		if _, ok := index[s.ID]; !ok {
			index[s.ID] = i
		}
	}
	children := map[int][]int{}
	for i, s := range trace {
		if parent, ok := index[s.Parent]; ok && s.ID != root && s.ID != s.Parent {
			children[parent] = append(children[parent], i)
		}
	}
	for _, list := range children {
		slices.SortStableFunc(list, func(i, k int) int {
			a, b := trace[i], trace[k]
			return cmp.Or(b.End.Compare(a.End), b.Start.Compare(a.Start), cmp.Compare(a.ID, b.ID))
		})
	}
	return children
}

func of(trace []Span, id string) int {
	return slices.IndexFunc(trace, func(s Span) bool { return s.ID == id })
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

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

// Part is where time went: in spans of a name, not counting what their children took.
type Part struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
}

// root returns the span without a parent in its trace that began first, and whether
// there is exactly one and it has no parent at all: then nothing of the trace is
// missing above its other spans.
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

// criticalPath tells of each part of the root's duration which span is to blame for it:
// a moment belongs to the deepest span that was being waited for. It walks from the end
// backwards: the child that ended last was waited for, before it the one that ended
// last before that began, and so on; what is between them is the span's own. The parts
// add up to the root's duration.
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
			// A child that outlives its parent, or whose clock is another, counts where the
			// parent was waited for.
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

// maxDepth ends the walk through a trace that has a circle in it.
const maxDepth = 100

package explain

import (
	"slices"

	"soundcheck/internal/criticalpath"
)

// Part is the self time of spans with a name.
type Part struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
}

// top returns the topmost span of a request in its trace. Complete: no span above the others is missing.
func top(trace []criticalpath.Span, id string) (s criticalpath.Span, complete bool) {
	s, complete = criticalpath.Root(trace)
	if id == "" {
		return s, complete
	}
	i := slices.IndexFunc(trace, func(s criticalpath.Span) bool { return s.ID == id })
	if i < 0 {
		return criticalpath.Span{}, false
	}
	return trace[i], complete
}

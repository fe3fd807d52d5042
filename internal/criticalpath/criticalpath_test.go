package criticalpath

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// at builds a span from one millisecond to another.
func at(id, parent, service, name string, from, to int) Span {
	base := time.UnixMicro(1_700_000_000_000_000)
	return Span{ID: id, Parent: parent, Service: service, Name: name, Kind: "internal",
		Start: base.Add(time.Duration(from) * time.Millisecond), End: base.Add(time.Duration(to) * time.Millisecond)}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		trace []Span
		want  string // service/name=ms, of those that are not 0
	}{
		{"alone", []Span{at("1", "", "a", "root", 0, 100)}, "root=100"},
		{"nested", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "server", 10, 90), at("3", "2", "b", "query", 30, 80)}, "query=50 root=20 server=30"},
		{"one after the other", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "x", 10, 40), at("3", "1", "b", "y", 50, 95)}, "root=25 x=30 y=45"},
		{"side by side: only what was waited for", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "long", 10, 90), at("3", "1", "b", "short", 10, 50)}, "long=80 root=20"},
		{"overlapping", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "first", 0, 60), at("3", "1", "b", "second", 40, 100)}, "first=40 second=60"},
		{"a retry", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "a", "try", 0, 30), at("3", "1", "a", "try", 50, 100)}, "root=20 try=80"},
		{"a child that outlives its parent", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "late", 50, 150)}, "late=50 root=50"},
		{"a child of another clock", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "early", -500, -400)}, "root=100"},
		{"nothing long", []Span{at("1", "", "a", "root", 0, 100), at("2", "1", "b", "event", 50, 50)}, "root=100"},
		{"a circle", []Span{at("1", "", "a", "root", 0, 100), at("2", "3", "b", "x", 0, 100), at("3", "2", "b", "y", 0, 100)}, "root=100"},
	} {
		parts := map[string]time.Duration{}
		sum := time.Duration(0)
		for _, p := range Path(tt.trace, tt.trace[0]) {
			parts[p.Span.Name] += p.To.Sub(p.From)
			sum += p.To.Sub(p.From)
		}
		var got []string
		for _, name := range []string{"early", "event", "first", "late", "long", "query", "root", "second", "server", "short", "try", "x", "y"} {
			if parts[name] != 0 {
				got = append(got, fmt.Sprintf("%s=%d", name, parts[name].Milliseconds()))
			}
		}
		if text := strings.Join(got, " "); text != tt.want || sum != 100*time.Millisecond {
			t.Errorf("%s: %s, in all %s, want %s, 100ms", tt.name, text, sum, tt.want)
		}
	}
}

func TestRoot(t *testing.T) {
	t.Parallel()
	complete := []Span{at("2", "1", "b", "server", 10, 90), at("1", "", "a", "root", 0, 100)}
	if r, ok := Root(complete); r.ID != "1" || !ok {
		t.Errorf("root %v, %v", r, ok)
	}
	for name, trace := range map[string][]Span{"none": nil, "the root is missing": complete[:1], "one between is missing": append(complete, at("4", "3", "b", "query", 20, 30))} {
		if _, ok := Root(trace); ok {
			t.Errorf("%s: complete", name)
		}
	}
}

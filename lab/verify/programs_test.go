package verify

import (
	"slices"
	"testing"
)

func TestPrograms(t *testing.T) {
	t.Parallel()
	if got := newSession(Options{}).programs(); got != nil {
		t.Errorf("without programs: %+v", got)
	}
	list := []Program{{"jaeger", "2.17.0", "PATH", ""}, {"console", "", "built", ""}}
	got := newSession(Options{Programs: list}).programs()
	const text = "jaeger 2.17.0 (PATH), console (built)"
	if len(got) != 1 || got[0].Name != "programs" || got[0].Outcome != OK || got[0].Text != text {
		t.Errorf("got %+v, want %q", got, text)
	}
	list[0].Problem = "version 2.1.0, want 2.13.0"
	got = newSession(Options{Programs: list}).programs()
	if len(got) != 1 || got[0].Outcome != Failed || !slices.Equal(got[0].Details, []string{"jaeger: version 2.1.0, want 2.13.0"}) {
		t.Errorf("got %+v, want a failure", got)
	}
}

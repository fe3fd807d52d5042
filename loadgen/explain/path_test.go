package explain

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"testing"
	"time"

	"soundcheck/internal/criticalpath"
	"soundcheck/internal/jaegerapi"
)

// The parts of a request are those of the critical path of its trace. The console's tests compare
// its pages with the same file.
func TestPartsAreTheCriticalPath(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../internal/criticalpath/testdata/critical.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name  string
		Trace *jaegerapi.Trace
		Path  map[string]int64 // µs
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range cases {
		spans := criticalpath.Spans(c.Trace)
		root, complete := criticalpath.Root(spans)
		list, missing := samples([]Request{{TraceID: "abc", Response: root.End.Sub(root.Start)}}, map[string]fetched{"abc": {spans: spans}})
		if !complete {
			if len(list) > 0 || missing == "" {
				t.Errorf("%s: an incomplete trace has parts %v", c.Name, list)
			}
			continue
		}
		compared++
		got := map[string]int64{}
		for p, seconds := range list[0].parts {
			if us := int64(math.Round(1e6 * seconds)); us != 0 {
				got[p.Name[len("op "):]] += us
			}
		}
		if !maps.Equal(got, c.Path) {
			t.Errorf("%s: parts %v, want %v", c.Name, got, c.Path)
		}
		if rest := time.Duration(1e9 * list[0].parts[restPart]); rest != 0 {
			t.Errorf("%s: %s outside the trace", c.Name, rest)
		}
	}
	if compared < 40 {
		t.Errorf("%d complete traces", compared)
	}
}

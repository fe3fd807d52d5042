package criticalpath

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"soundcheck/internal/golden"
	"soundcheck/internal/jaegerapi"
)

const paths = "testdata/critical.json"

// critical is a trace in Jaeger's JSON, with the microseconds of each span on the critical path.
// Tests of loadgen/explain and of the console use the same file.
type critical struct {
	Name  string           `json:"name"`
	Trace any              `json:"trace"`
	Path  map[string]int64 `json:"path"`
}

type object = map[string]any

// span is a span in Jaeger's JSON.
func span(id, parent, process string, from, to int64) object {
	refs := []object{}
	if parent != "" {
		refs = append(refs, object{"refType": "CHILD_OF", "traceID": "abc", "spanID": parent})
	}
	return object{"traceID": "abc", "spanID": id, "operationName": "op " + id, "references": refs, "startTime": 1_700_000_000_000_000 + from, "duration": to - from, "tags": []object{}, "logs": []object{}, "processID": process}
}

// older is a span whose parent is a field instead of a reference.
func older(id, parent, process string, from, to int64) object {
	s := span(id, "", process, from, to)
	s["parentSpanID"] = parent
	return s
}

func traceOf(spans ...object) object {
	return object{"traceID": "abc", "spans": spans, "processes": object{"p1": object{"serviceName": "a"}, "p2": object{"serviceName": "b"}}}
}

// samplesOfPaths are typical traces, and random ones of one seed.
func samplesOfPaths() []critical {
	list := []critical{
		{Name: "one span", Trace: traceOf(span("1", "", "p1", 0, 100))},
		{Name: "nested", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 10, 90), span("3", "2", "p2", 30, 80))},
		{Name: "side by side", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 10, 90), span("3", "1", "p2", 10, 50))},
		{Name: "overlapping", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 0, 60), span("3", "1", "p2", 40, 100))},
		{Name: "a child that outlives its parent", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 50, 150), span("3", "2", "p2", 120, 140))},
		{Name: "a child of another clock", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", -500, -400), span("3", "1", "p2", -20, 30))},
		{Name: "a missing parent", Trace: traceOf(span("2", "gone", "p1", 0, 100), span("3", "2", "p2", 10, 20), span("4", "lost", "p2", 30, 40))},
		{Name: "work after the response", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 10, 90), span("3", "2", "p2", 80, 400), span("4", "3", "p2", 95, 390), span("5", "1", "p2", 150, 300))},
		{Name: "overlapping children", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 0, 70), span("3", "1", "p2", 20, 95), span("4", "1", "p2", 60, 80), span("5", "3", "p2", 10, 60))},
		{Name: "clock skew of a whole service", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p1", 5, 95), span("3", "2", "p2", -40, 40), span("4", "3", "p2", -35, 35), span("5", "2", "p2", 90, 140))},
		{Name: "zero length", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 0, 0), span("3", "1", "p2", 40, 40), span("4", "3", "p2", 40, 80), span("5", "1", "p2", 100, 100))},
		{Name: "a root of zero length", Trace: traceOf(span("1", "", "p1", 0, 0), span("2", "1", "p2", 0, 50))},
		{Name: "a cycle beside the root", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "3", "p2", -10, 90), span("3", "2", "p2", 5, 60), span("4", "1", "p2", 10, 20))},
		{Name: "only a cycle", Trace: traceOf(span("2", "3", "p2", 0, 90), span("3", "2", "p2", 5, 60))},
		{Name: "its own parent", Trace: traceOf(span("1", "1", "p1", 0, 100), span("2", "1", "p2", 10, 20))},
		{Name: "exported twice", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 10, 60), span("2", "1", "p2", 10, 60), span("3", "2", "p2", 20, 30))},
		{Name: "an id of two spans, one below the other", Trace: traceOf(span("1", "", "p1", 0, 100), span("2", "1", "p2", 10, 60), span("3", "2", "p2", 20, 50), span("2", "3", "p2", 30, 40))},
		{Name: "parent fields", Trace: traceOf(span("1", "", "p1", 0, 100), older("2", "1", "p2", 10, 90), older("3", "2", "p2", 30, 80))},
		{Name: "deep", Trace: traceOf(chain(150)...)},
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 40 {
		spans := []object{span("0", "", "p1", 0, 1_000_000)}
		for id := 1; id < 2+rng.IntN(14); id++ {
			from := rng.Int64N(1_100_000) - 50_000
			spans = append(spans, span(fmt.Sprint(id), fmt.Sprint(rng.IntN(id)), []string{"p1", "p2"}[rng.IntN(2)], from, from+rng.Int64N(700_000)))
		}
		list = append(list, critical{Name: fmt.Sprint("random ", i), Trace: traceOf(spans...)})
	}
	return list
}

// chain are nested spans, each 1 µs shorter at both ends than its parent.
func chain(n int) (spans []object) {
	for i := range int64(n) {
		parent := ""
		if i > 0 {
			parent = fmt.Sprint(i - 1)
		}
		spans = append(spans, span(fmt.Sprint(i), parent, "p1", i, 400-i))
	}
	return spans
}

func TestGolden(t *testing.T) {
	t.Parallel()
	list := samplesOfPaths()
	for i, c := range list {
		b, err := json.Marshal(c.Trace)
		if err != nil {
			t.Fatal(err)
		}
		var trace jaegerapi.Trace
		if err := json.Unmarshal(b, &trace); err != nil {
			t.Fatal(err)
		}
		spans := Spans(&trace)
		root, _ := Root(spans)
		list[i].Path = map[string]int64{}
		for _, p := range Path(spans, root) {
			list[i].Path[p.Span.ID] += p.To.Sub(p.From).Microseconds()
		}
	}
	var lines bytes.Buffer
	lines.WriteString("[\n")
	for i, c := range list {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(b)
		if i < len(list)-1 {
			lines.WriteByte(',')
		}
		lines.WriteByte('\n')
	}
	lines.WriteString("]\n")
	golden.Check(t, paths, lines.Bytes())
}

package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"soundcheck/internal/golden"
)

const paths = "testdata/critical.json"

// critical is a trace in Jaeger's JSON, with the microseconds of each span on the critical path. The
// console's tests of its own critical path use the same file.
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

func TestCriticalPathGolden(t *testing.T) {
	t.Parallel()
	list := samplesOfPaths()
	for i, c := range list {
		jaeger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(object{"data": []any{c.Trace}})
		}))
		traces, err := Jaeger{URL: jaeger.URL, Client: jaeger.Client()}.Traces(context.Background(), []string{"abc"})
		jaeger.Close()
		if err != nil {
			t.Fatal(err)
		}
		spans := traces["abc"]
		top, _ := root(spans)
		list[i].Path = map[string]int64{}
		criticalPath(spans, top, func(s Span, from, to time.Time) {
			if from.Before(to) {
				list[i].Path[s.ID] += to.Sub(from).Microseconds()
			}
		})
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

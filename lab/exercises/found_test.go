package exercises

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// What a symptom and a choice have beside their query must show in traces.
func TestFound(t *testing.T) {
	t.Parallel()
	l := backends(t)
	root := &Found{"service=store", []Span{{Kind: "server", Root: true}}}
	consumer := &Found{"service=store", []Span{{Kind: "consumer"}}}
	for _, tt := range []struct {
		symptom Symptom
		want    bool
	}{
		{Symptom{}, true}, {Symptom{Found: root}, true}, {Symptom{Found: consumer}, false},
		{Symptom{Skew: "store"}, true}, {Symptom{Skew: "proxy"}, false}, {Symptom{Skew: "store", Found: consumer}, false},
	} {
		if got, err := tt.symptom.holds(t.Context(), l); got != tt.want || err != nil {
			t.Errorf("%+v: %t, %v", tt.symptom, got, err)
		}
	}
	for found, want := range map[*Found]error{root: nil, consumer: ErrNotVisible} {
		q := Question{Choice: &Choice{Of: []string{"a", "b", "c"}, Is: "a", Found: found}}
		if err := q.Check(t.Context(), l, "a"); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", *found, err, want)
		}
	}
	trace := Question{Trace: &Trace{Spans: []Span{{Service: "store"}}}}
	for answer, want := range map[string]string{
		"1": "older than the exercise", "http://127.0.0.1:12300/trace/1?span=a": "older than the exercise", "http://127.0.0.1:16696/trace/2/": "no such trace",
		"http://127.0.0.1:16696/trace/": "is not a trace id", "http://127.0.0.1:16696/traces": "is not a trace id",
	} {
		if err := trace.Check(t.Context(), l, answer); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
	}
	l.Begun = time.Unix(0, 0)
	if err := trace.Check(t.Context(), l, "1"); err != nil {
		t.Error(err)
	}
}

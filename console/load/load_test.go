package load

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"soundcheck/lab/supervisor"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	usual := supervisor.Status{Root: "/repo", State: "/repo/.lab"}
	for _, tt := range []struct {
		st     supervisor.Status
		values Values
		want   string
	}{
		{usual, Values{}, "go run ./loadgen"},
		{usual, Values{"rate": {"100"}, "duration": {""}, "slo": {"p99<50ms", "good>99%"}, "abort-on-slo": {"true"}, "name": {"it's a test"}},
			`go run ./loadgen -name 'it'\''s a test' -rate 100 -slo 'p99<50ms' -slo 'good>99%' -abort-on-slo`},
		{usual, Values{"rate": {"-out"}, "abort-on-slo": {"false"}, "url": {"http://a:1"}}, "go run ./loadgen -url http://a:1 -rate -out"},
		{supervisor.Status{Root: "/repo", State: "/tmp/second lab", PortOffset: 100}, Values{"rate": {"5"}},
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4418 go run ./loadgen -rate 5 -url http://127.0.0.1:9170 -jaeger http://127.0.0.1:16796 -keep '/tmp/second lab/runs'"},
		{supervisor.Status{Root: "/repo", State: "/repo/.lab", PortOffset: 1}, Values{"url": {"http://x"}},
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4319 go run ./loadgen -url http://x -jaeger http://127.0.0.1:16697"},
	} {
		if c, err := commandFor(tt.st, tt.values); err != nil || c.String() != tt.want {
			t.Errorf("%v: %s, %v, want %s", tt.values, c, err, tt.want)
		}
	}
	for _, tt := range []struct {
		values     Values
		flag, want string
	}{
		{Values{"out": {"/etc"}}, "out", "-out is not a flag of this page"},
		{Values{"rate": {"1", "2"}}, "rate", "-rate has 2 values"},
		{Values{"abort-on-slo": {"maybe"}}, "abort-on-slo", `"maybe" is not true or false`},
		{Values{"mix": {strings.Repeat("x", 3000)}}, "mix", "longer than 2000 bytes"},
		{Values{"mix": {"a\x00b"}}, "mix", "NUL"},
	} {
		_, err := commandFor(usual, tt.values)
		if bad, ok := errors.AsType[*BadValue](err); !ok || bad.Flag != tt.flag || !strings.Contains(bad.Text, tt.want) {
			t.Errorf("%v: %v, want -%s: %s", tt.values, err, tt.flag, tt.want)
		}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string][2]string{
		"loadgen: invalid value \"x\" for flag -rate: parse error\nrun \"loadgen -h\" for help\n": {`invalid value "x" for flag -rate: parse error`, "rate"},
		"loadgen: a notice of -targets\nloadgen: -mix: unknown scenario\n":                        {"-mix: unknown scenario", "mix"},
		"5 of 30 s: 7 requests\nloadgen: reach the target: refused\nstart the lab\n":              {"reach the target: refused\nstart the lab", ""},
		"loadgen: -out: it exists\n": {"-out: it exists", ""},
		"":                           {"loadgen ended without a report and without a message: it was killed", ""},
	} {
		if text, flag := message([]byte(stderr)); !reflect.DeepEqual([2]string{text, flag}, want) {
			t.Errorf("%q: %q, %q, want %q", stderr, text, flag, want)
		}
	}
}

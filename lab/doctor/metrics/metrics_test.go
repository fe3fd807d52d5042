package metrics

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := Parse(strings.NewReader("# TYPE a counter\na 1\nb{x=\"1\",y=\"a \\\"b\\\\ }\\n,\"} 2.5e3\n\nc{} NaN\nb{x=\"2\"} +Inf\n"))
	if err != nil || len(m["a"]) != 1 || m["a"][0].Value != 1 || len(m["b"]) != 2 || m["b"][0].Labels["y"] != "a \"b\\ }\n," || m["b"][0].Value != 2500 || len(m["c"]) != 1 {
		t.Errorf("%v, %v", m, err)
	}
	if got := m.Sum("b", func(l map[string]string) bool { return l["x"] == "1" }); got != 2500 {
		t.Errorf("sum %v", got)
	}
	for _, text := range []string{"a", "a b", `a{x="1} 2`, `a{x 1`, "a{x=\"\\q\"} 1"} {
		if m, err := Parse(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v", text, m)
		}
	}
}

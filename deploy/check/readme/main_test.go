package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestUpToDate(t *testing.T) {
	t.Parallel()
	rows := 0
	for _, p := range pages {
		is, want, err := read("../"+p.page, "../"+p.values)
		if err != nil {
			t.Fatalf("%s: %v", p.page, err)
		}
		if !bytes.Equal(is, want) {
			t.Errorf("the table of values in %s differs from %s: run make chart-readme", p.page, p.values)
		}
		rows += bytes.Count(want, []byte("\n| `"))
	}
	if rows < 120 {
		t.Errorf("the tables have %d rows", rows)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ values, want string }{
		{"# -- One\na: 1\n", "| `a` | `1` | One |\n"},
		{"b:\n  # Not this.\n  # -- Two lines,\n  # or | more\n  c: [x, \"1\"]\n", "| `b.c` | `[\"x\",\"1\"]` | Two lines, or \\| more |\n"},
		{"b:\n  # -- Three\n  c: {d: null}\ne:\n  c: {}\n", "| `b.c` | `{\"d\":null}` | Three |\n| `e.c` | `{}` | Three |\n"},
		{"# -- A\nx: 1\nstore:\n  # -- S\n  x: 2\nproxy:\n  x: 3\n", "| `x` | `1` | A |\n| `store.x` | `2` | S |\n| `proxy.x` | `3` | S |\n"},
		{"# -- Four\nd:\n  e: 1\n  f: 2\n", "| `d` | `{\"e\":1,\"f\":2}` | Four |\n"},
	} {
		got, err := table([]byte(tt.values))
		if _, rows, _ := strings.Cut(string(got), "| --- | --- | --- |\n"); err != nil || rows != tt.want {
			t.Errorf("%q becomes %q, %v, want %q", tt.values, rows, err, tt.want)
		}
	}
	for values, want := range map[string]string{
		"a: 1\n":    `values.yaml:1: a has no comment "# -- description"`,
		"- 1\n":     "values.yaml has no values",
		"a: {\n":    "values.yaml: ",
		"a:\n b: 1": `values.yaml:2: a.b has no comment`,
	} {
		if _, err := table([]byte(values)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", values, err, want)
		}
	}
	if _, err := update([]byte("no marks"), nil); err == nil {
		t.Error("a page without marks was accepted")
	}
}

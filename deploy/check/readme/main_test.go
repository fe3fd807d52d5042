package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestUpToDate(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../" + chart + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	values, err := os.ReadFile("../" + chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := update(page, values)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, want) {
		t.Error("the table of values in the chart's README.md differs from values.yaml: run make chart-readme")
	}
	if rows := bytes.Count(want, []byte("\n| `")); rows < 100 {
		t.Errorf("the table has %d rows", rows)
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

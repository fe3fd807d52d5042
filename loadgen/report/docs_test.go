package report

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/slo"
)

// docs/report-json.md has each field of report.json in order, then the deprecated ones, and no
// other.
func TestReportJSONIsDocumented(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/report-json.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for section := range strings.SplitSeq(string(b), "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(text, -1) {
			documented[title] = append(documented[title], m[1])
		}
	}
	types := []any{Report{}, measure.Summary{}, Flow{}, FailedCheck{}, RetryAfter{}, Retries{}, measure.GC{}, Row{}, Slow{}, slo.Verdict{}, Interval{}, measure.Histogram{}, explain.Attribution{}, explain.Cause{}}
	for _, v := range types {
		typ := reflect.TypeOf(v)
		want := fields(typ)
		for _, name := range slices.Clone(want) { // the deprecated names, in the same order
			if old := renamedKeys[typ.Name()][name]; old != "" {
				want = append(want, old)
				if row := fmt.Sprintf("| `%s` | | deprecated: `%s` |", old, name); !strings.Contains(string(b), row) {
					t.Errorf("%s has no row %s", typ.Name(), row)
				}
			}
		}
		if got := documented[typ.Name()]; !slices.Equal(got, want) {
			t.Errorf("%s is documented as\n%q, want\n%q", typ.Name(), got, want)
		}
	}
	if len(documented) != len(types) {
		t.Errorf("%d types are documented, and %d exist", len(documented), len(types))
	}
	if want := fmt.Sprintf("`version` is %d.", Version); !strings.Contains(string(b), want) {
		t.Errorf("the documentation lacks: %s", want)
	}
}

// fields returns the names that a type's JSON has.
func fields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			names = append(names, fields(f.Type)...)
		case f.IsExported() && name != "-":
			names = append(names, name)
		}
	}
	return names
}

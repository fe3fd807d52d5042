package verify

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMetricNames(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`up`: "up",
		`histogram_quantile(0.99, sum by (service_name, le) (rate(a_seconds{service_name=~"$service",x!="b_total"}[30s])))`: "a_seconds",
		`sum(rate(a_total[5m])) by (job) / on (job) group_left (version) sum by (job) (b:rate5m offset 1h)`:                 "a_total b:rate5m",
		`a_total and b_total or (c_total unless d_total)`:                                                                   "a_total b_total c_total d_total",
		`{__name__="a_total", job="x"} + {"b.total"} + {__name__=~"c.*"}`:                                                   "a_total b.total",
		`max_over_time(a[5m:30s]) > bool 1e3 * 0x1f + 5m30s - Inf`:                                                          "a",
		"label_replace(a, 'x', \"$1\", `y`, \"(.*)\") # b_total":                                                            "a",
		`topk(5, count by (__name__) ({__name__!=""}))`:                                                                     "",
		`count_values without (x) ("v", a) * scalar(vector(1)) @ end()`:                                                     "a",
		`sum(increase(a{x="y"}[5m] anchored)) + increase(b[1h] smoothed offset 5m)`:                                         "a b",
		`a - a`: "a",
		`sum without() (a{x="}"}) / ignoring(y) b`: "a b",
		`{"unclosed`: "unclosed",
		`a[5m`:       "a",
	} {
		if got := strings.Join(metricNames(expr), " "); got != want {
			t.Errorf("metricNames(%s) = %q, want %q", expr, got, want)
		}
	}
}

func TestReadRules(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"rules/a.yml": {Data: []byte("groups:\n- name: g\n  rules:\n  - record: job:up:sum\n    expr: sum(up)\n  - expr: up == 0\n    alert: \"Down\"  # soon\n")},
		"other.yml":   {Data: []byte("- alert: Other\n")},
	}
	want := []RuleName{{"record", "job:up:sum"}, {"alert", "Down"}}
	if got, err := ReadRules(files, "rules/*.yml"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadRules = %v, %v, want %v", got, err, want)
	}
}

func TestPrivateOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`{"title":"T","artist":"A"}`:                              {"T", "A"},
		`[{"title":"T","artist":"A"},{"title":"U","artist":"B"}]`: {"T", "A", "U", "B"},
		``: nil,
	} {
		if got := privateOf([]byte(body)); !slices.Equal(got, want) {
			t.Errorf("privateOf(%s) = %v, want %v", body, got, want)
		}
	}
}

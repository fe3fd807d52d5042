package dashboards

import (
	"testing"
	"time"
)

func TestInterpolate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		expr string
		vars map[string][]string
		step time.Duration
		want string
	}{
		{`rate(x[$__rate_interval])`, nil, time.Second, `rate(x[30s])`},
		{`rate(x[$__rate_interval])`, nil, 15 * time.Second, `rate(x[60s])`},
		{`rate(x[${__rate_interval}])`, nil, 10500 * time.Millisecond, `rate(x[42s])`},
		{`x[$__range] y[$__interval]`, nil, 200 * time.Millisecond, `x[1800s] y[1s]`},
		{`x{a=~"$run"}`, nil, 0, `x{a=~".*"}`},
		{`x{a=~"$run"}`, map[string][]string{"run": {"$__all"}}, 0, `x{a=~".*"}`},
		{`x{a=~"$run",b=~"${route}"}`, map[string][]string{"run": {"r"}, "route": {"/albums/:id"}}, 0, `x{a=~"r",b=~"/albums/:id"}`},
		{`x{a=~"$run"}`, map[string][]string{"run": {"a.b", "c+"}}, 0, `x{a=~"(a\\.b|c\\+)"}`},
		// A value cannot end its string.
		{`x{a=~"$run"}`, map[string][]string{"run": {`"} or y{b="` + "\n"}}, 0, `x{a=~"\"\\} or y\\{b=\"\n"}`},
		{`x{a=~"$run"}`, map[string][]string{"run": {`$__range`}}, 0, `x{a=~"\\$__range"}`},
		{`x{a="$5"}`, nil, 0, `x{a="$5"}`},
		{`$__from`, nil, 0, `$__from`},
	} {
		if got := Interpolate(tt.expr, tt.vars, 30*time.Minute, tt.step); got != tt.want {
			t.Errorf("Interpolate(%s, %v, step %s) = %s, want %s", tt.expr, tt.vars, tt.step, got, tt.want)
		}
	}
}

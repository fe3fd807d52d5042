package dashboards

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// allValues is what Grafana calls the choice of All.
const allValues = "$__all"

// minRateInterval holds three samples of the slowest senders.
const minRateInterval = 30 * time.Second

var reference = regexp.MustCompile(`\$[a-z_]\w*|\$\{[a-z_]\w*\}`)

// Interpolate returns expr, PromQL of a panel or the query of a variable, with the
// chosen values in the place of variables and with the durations that Grafana
// would put in:
//
//	$__range          rng, in whole seconds
//	$__interval       step
//	$__rate_interval  four steps, 30 s at least
//
// A variable stands for a regular expression, as in service_name=~"$service". It is
// .* if there are no values of it, or if one of them is $__all.
func Interpolate(expr string, vars map[string][]string, rng, step time.Duration) string {
	return reference.ReplaceAllStringFunc(expr, func(ref string) string {
		name := strings.Trim(ref, "${}")
		switch name {
		case "__range":
			return seconds(rng)
		case "__interval":
			return seconds(step)
		case "__rate_interval":
			return seconds(max(minRateInterval, 4*step))
		}
		if strings.HasPrefix(name, "__") {
			return ref
		}
		return pattern(vars[name])
	})
}

// pattern returns a regular expression that matches the values, as it stands in a
// string of PromQL, where a backslash is written twice.
func pattern(values []string) string {
	var quoted []string
	for _, v := range values {
		if v == allValues {
			return ".*"
		}
		v = strings.ReplaceAll(regexp.QuoteMeta(v), `\`, `\\`)
		v = strings.ReplaceAll(v, `"`, `\"`)
		quoted = append(quoted, strings.ReplaceAll(v, "\n", `\n`))
	}
	switch len(quoted) {
	case 0:
		return ".*"
	case 1:
		return quoted[0]
	}
	return "(" + strings.Join(quoted, "|") + ")"
}

func seconds(d time.Duration) string {
	return fmt.Sprintf("%ds", max(1, int64((d+time.Second/2)/time.Second)))
}

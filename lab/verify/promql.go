package verify

import (
	"slices"
	"strings"
)

// aggregators may be followed by by (…) instead of their argument.
var aggregators = []string{"sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values",
	"bottomk", "topk", "quantile", "limitk", "limit_ratio"}

// words of PromQL that are no metric names.
var keywords = []string{"and", "or", "unless", "atan2", "bool", "offset", "anchored", "smoothed", "inf", "nan"}

// labelLists are the words that labels in parentheses follow.
var labelLists = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}

// metricNames returns the names of the metrics that a PromQL expression asks for, each
// once. It does not check the expression: Prometheus does.
func metricNames(expr string) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '#':
			i = skipTo(expr, i, '\n')
		case c == '"' || c == '\'' || c == '`':
			_, i = quoted(expr, i)
		case c == '[':
			i = skipTo(expr, i, ']')
		case c == '{':
			var name string
			name, i = matchers(expr, i+1)
			add(name)
		case c >= '0' && c <= '9' || c == '.': // numbers and durations: 0x1f, 1e3, 5m30s
			for i < len(expr) && (word(expr[i]) || expr[i] == '.') {
				i++
			}
		case word(c):
			begin := i
			for i < len(expr) && word(expr[i]) {
				i++
			}
			name := expr[begin:i]
			lower := strings.ToLower(name)
			next := i + len(expr[i:]) - len(strings.TrimLeft(expr[i:], " \t\r\n"))
			opens := next < len(expr) && expr[next] == '('
			switch {
			case slices.Contains(labelLists, lower):
				if opens {
					i = skipTo(expr, next, ')')
				}
			case opens, slices.Contains(keywords, lower), slices.Contains(aggregators, lower):
			default:
				add(name)
			}
		default:
			i++
		}
	}
	return names
}

func word(c byte) bool {
	return c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// skipTo returns where what is behind the next end begins.
func skipTo(s string, from int, end byte) int {
	if n := strings.IndexByte(s[from:], end); n >= 0 {
		return from + n + 1
	}
	return len(s)
}

// quoted reads a string literal, and returns where what is behind it begins.
func quoted(s string, from int) (string, int) {
	quote := s[from]
	var b strings.Builder
	for i := from + 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), i + 1
		case s[i] == '\\' && quote != '`' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), len(s)
}

// matchers reads what is in braces, and returns the metric name that it says:
// {__name__="x"} or {"x"}.
func matchers(s string, from int) (name string, end int) {
	before := "" // the label and the operator before a string
	for i := from; i < len(s); {
		switch c := s[i]; c {
		case '}':
			return name, i + 1
		case ',':
			before = ""
			i++
		case '"', '\'', '`':
			var text string
			text, i = quoted(s, i)
			if before == "" && !strings.HasPrefix(strings.TrimLeft(s[i:], " "), "=") && !strings.HasPrefix(strings.TrimLeft(s[i:], " "), "!") || before == "__name__=" {
				name = text
			}
			before += "x"
		case ' ', '\t', '\r', '\n':
			i++
		default:
			before += string(c)
			i++
		}
	}
	return name, len(s)
}

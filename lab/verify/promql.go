package verify

import (
	"regexp"
	"slices"
	"strings"
)

// reserved are words of PromQL that are no metric names. Functions are recognized by the
// parenthesis that follows.
var reserved = strings.Fields(`sum min max avg group stddev stdvar count count_values bottomk topk quantile limitk limit_ratio
	and or unless atan2 bool offset anchored smoothed inf nan`)

// promString is a string literal, which may have no end.
const promString = `(?:"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|` + "`[^`]*`?)"

var (
	// promToken is what a metric name can be in, or mistaken for: a comment, a string, a range,
	// matchers (1), a list of labels, a number or duration, a word (2) and the parenthesis
	// behind it (3).
	promToken = regexp.MustCompile(`(?is)#[^\n]*|` + promString + `|\[[^\]]*\]?|(\{(?:` + promString + "|[^}\"'`])*" + `\}?)` +
		`|(?:by|without|on|ignoring|group_left|group_right)(?:\s*\([^)]*\)?|\s|$)|[0-9.][\w:.]*|([a-z_:][\w:]*)(\s*\()?`)
	// promMatcher is a string of matchers (3) with its label (1) and operator (2).
	promMatcher = regexp.MustCompile(`(?s)(?:([\w:]+|` + promString + `)\s*(=~|!~|!=|=)\s*)?(` + promString + `)`)
)

// metricNames returns the names of the metrics in a PromQL expression, each
// once. It does not check the expression: Prometheus does.
func metricNames(expr string) (names []string) {
	for _, token := range promToken.FindAllStringSubmatch(expr, -1) {
		var found []string
		if word := token[2]; token[3] == "" && !slices.Contains(reserved, strings.ToLower(word)) {
			found = append(found, word)
		}
		for _, m := range promMatcher.FindAllStringSubmatch(token[1], -1) {
			if m[1] == "" || m[1] == "__name__" && m[2] == "=" {
				found = append(found, strings.Trim(m[3], "\"'`"))
			}
		}
		for _, name := range found {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

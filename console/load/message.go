package load

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// named is a flag in an error message.
var named = regexp.MustCompile(`(?:^|[ (:])-([a-z][a-z0-9-]*)`)

// message returns the error in loadgen's stderr, and the first flag of the form that it names. Progress and notices
// precede it.
func message(stderr []byte) (text, about string) {
	at := max(bytes.LastIndex(stderr, []byte("\nloadgen: "))+1, 0)
	text = strings.TrimPrefix(strings.TrimSpace(string(stderr[at:])), "loadgen: ")
	text, _, _ = strings.Cut(text, "\nrun \"loadgen -h\"")
	if text == "" {
		return "loadgen ended without a report and without a message: it was killed", ""
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if slices.ContainsFunc(flags, func(f flag) bool { return f.name == m[1] }) {
			return text, m[1]
		}
	}
	return text, ""
}

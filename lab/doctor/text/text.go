// Package text writes results for people.
package text

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// width is where text is wrapped. Commands are not: they are copied.
const (
	indent = 21
	width  = 110
)

// Line writes a line of a result: a name, an outcome and a text, which is wrapped.
func Line(b *bytes.Buffer, name, outcome, text string) {
	head := fmt.Sprintf("%-11s  %-7s ", name, outcome)
	if strings.HasPrefix(text, "next:") || strings.HasPrefix(text, "or:") {
		fmt.Fprintf(b, "%s%s\n", head, text)
		return
	}
	at := indent
	b.WriteString(strings.TrimRight(head, " "))
	b.WriteString(strings.Repeat(" ", len(head)-len(strings.TrimRight(head, " "))-1))
	hang := 0
	if strings.HasPrefix(text, "cause:") {
		hang = len("cause:")
	}
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if at+n > width {
			fmt.Fprintf(b, "\n%s", strings.Repeat(" ", indent-1+hang))
			at = indent + hang
		}
		fmt.Fprintf(b, " %s", word)
		at += n + 1
	}
	b.WriteByte('\n')
}

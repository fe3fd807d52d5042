package load

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// named is a flag in an error message.
var named = regexp.MustCompile(`(?:^|[ (:])-([a-z][a-z0-9-]*)`)

// last is where an error of loadgen, or of the Go runtime, begins.
var last = regexp.MustCompile(`(?m)^(?:loadgen|panic|fatal error): `)

// killedBy returns the signal that killed a process; "": none.
func killedBy(p *os.ProcessState) string {
	if p == nil {
		return ""
	}
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	return ""
}

// message returns the error in loadgen's stderr, and the first flag of the form that it names. Progress and notices
// precede it. A process that a signal killed, if it is known, has no message: its last line is one of those.
func message(stderr []byte, signal string) (text, about string) {
	if signal != "" {
		return "loadgen ended without a report, by the signal: " + signal, ""
	}
	at := last.FindAllIndex(stderr, -1)
	if at == nil {
		return "loadgen ended without a report and without a message: it was killed", ""
	}
	text = strings.TrimPrefix(strings.TrimSpace(string(stderr[at[len(at)-1][0]:])), "loadgen: ")
	text, _, _ = strings.Cut(text, "\nrun \"loadgen -h\"")
	if text, rest, stack := strings.Cut(text, "\n"); stack && strings.Contains(rest, "\ngoroutine ") {
		return text, ""
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if slices.ContainsFunc(flags, func(f flag) bool { return f.name == m[1] }) {
			return text, m[1]
		}
	}
	return text, ""
}

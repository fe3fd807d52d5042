package main

import (
	"io"
	"strings"
	"testing"
)

// Targets can come from another program.
func TestTargetsFromStdin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"GET http://a/x\n\nGET http://a/y\n": "",
		"GET http://a/x\nfoo\n":             `-targets: stdin:2: "foo" is not a header, as in Accept: text/plain`,
	} {
		f := newTargetFlags("loadgen", prefix, "")
		f.stdin = strings.NewReader(in)
		err := f.parse([]string{"-targets", "-"}, func(string) string { return "" }, io.Discard)
		if want == "" && (err != nil || len(f.c.Targets) != 2 || f.c.URL != "stdin") || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, %v of %s, want %s", in, err, f.c.Targets, f.c.URL, want)
		}
	}
}

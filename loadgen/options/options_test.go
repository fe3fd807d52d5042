package options

import (
	"io"
	"strings"
	"testing"
)

// Targets can come from stdin.
func TestTargetsFromStdin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"GET http://a/x\n\nGET http://a/y\n": "",
		"GET http://a/x\nfoo\n":              `-targets: stdin:2: "foo" is not a header, as in Accept: text/plain`,
	} {
		f := New("loadgen", "SOUNDCHECK_LOADGEN", "")
		f.stdin = strings.NewReader(in)
		err := f.Parse([]string{"-targets", "-"}, func(string) string { return "" }, io.Discard)
		if want == "" && (err != nil || len(f.Config.Targets) != 2 || f.Config.URL != "stdin") || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, %v of %s, want %s", in, err, f.Config.Targets, f.Config.URL, want)
		}
	}
}

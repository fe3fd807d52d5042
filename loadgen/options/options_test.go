package options

import (
	"errors"
	"io"
	"os"
	"path/filepath"
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

// A coordinator keeps the files of a flow for its workers, one process does not.
func TestFlowSource(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "buy.yaml")
	err := os.WriteFile(path, []byte("data: rows.csv\nsteps: [{name: a, get: /}]\n"), 0o600)
	if err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(path), "rows.csv"), []byte("row\n1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, processes := range []int{0, 1, 3} {
		f, p := New("loadgen", "SOUNDCHECK_LOADGEN", ""), Plan{Processes: processes}
		p.Define(f, processes > 0)
		err := f.Parse([]string{"-flow", path, "-users", "3"}, func(string) string { return "" }, io.Discard)
		if err = errors.Join(err, p.Apply(f)); err != nil {
			t.Fatal(err)
		}
		if s := f.Config.Flow.Source; processes == 0 && s != nil || processes > 0 && (s == nil || s.File != "buy.yaml" || len(s.Text) == 0 || string(s.Files["rows.csv"]) != "row\n1\n") {
			t.Errorf("%d processes: source %+v", processes, s)
		}
	}
}

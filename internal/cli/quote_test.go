package cli

import (
	"os/exec"
	"testing"
)

// A shell reads an argument as it was.
func TestQuote(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"/tmp/lab-1": "/tmp/lab-1", "a=1,b:2": "a=1,b:2", "": "''", "my lab": "'my lab'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~/x": "'~/x'", "a\nb": "'a\nb'", "über": "'über'", "a b/c": "'a b/c'",
	} {
		if got := Quote(arg); got != want {
			t.Errorf("%q is quoted as %s, want %s", arg, got, want)
		}
		if out, err := exec.Command("sh", "-c", "printf %s "+Quote(arg)).Output(); err != nil || string(out) != arg {
			t.Errorf("sh reads %q as %q, %v", arg, out, err)
		}
	}
}

package build

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// The test binary has build information, too.
func TestVersion(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("built without information")
	}
	if got := Version(self, ""); got != known(&info.Main) || got == "" {
		t.Errorf("Version(self) = %q, want %q", got, known(&info.Main))
	}
	for _, m := range info.Deps {
		if got := Version(self, m.Path); got != known(m) {
			t.Errorf("Version(self, %s) = %q, want %q", m.Path, got, known(m))
		}
	}
	if got := Version(self, "example.com/none"); got != "" {
		t.Errorf("of a module that is not there: %q", got)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, text + "-none"} {
		if got := Version(path, ""); got != "" {
			t.Errorf("Version(%s) = %q, want none", path, got)
		}
	}
	if got := known(&debug.Module{Version: "v1.2.3"}); got != "v1.2.3" {
		t.Errorf("known(v1.2.3) = %q", got)
	}
}

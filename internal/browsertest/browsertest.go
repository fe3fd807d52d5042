// Package browsertest finds the browser for tests of pages.
package browsertest

import (
	"os/exec"
	"testing"
)

// Chromium returns the path of Chromium. Without one the test is skipped; make test installs it if
// it can.
func Chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed: how the page looks is not tested")
	return ""
}

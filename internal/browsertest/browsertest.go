// Package browsertest finds the browser that tests look at pages with.
package browsertest

import (
	"os/exec"
	"testing"
)

// Chromium returns the path of the Chromium of this machine. Without one, which
// make test installs if it may, the test is skipped.
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

package telemetry

import (
	"os"
	"strings"
	"testing"
)

// An image's build has no repository, and links the version in. The linker says nothing of
// a name that is not there.
func TestLinkedVersion(t *testing.T) { // not parallel: it sets the variable
	version = "v1.2.3"
	defer func() { version = "" }()
	if got := Version(); got != "v1.2.3" {
		t.Errorf("Version() = %q, want the one that was linked in", got)
	}
	b, err := os.ReadFile("../../compose/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "-X soundcheck/internal/telemetry.version=$VERSION") {
		t.Error("compose/Dockerfile does not set the variable version")
	}
}

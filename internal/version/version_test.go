package version

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The linker does not report a variable that does not exist.
func TestLinked(t *testing.T) { // not parallel: it sets the variable
	linked = "v1.2.3"
	defer func() { linked = "" }()
	if got := String(); got != "v1.2.3" {
		t.Errorf("String() = %q, want the one that was linked in", got)
	}
	b, err := os.ReadFile("../../compose/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "-X soundcheck/internal/version.linked=$VERSION") {
		t.Error("compose/Dockerfile does not set the variable linked")
	}
	line := regexp.MustCompile(`^store v1\.2\.3, commit (unknown|[0-9a-f]{40}(-dirty)?), go1\.\S+ [a-z0-9]+/[a-z0-9]+$`)
	if got := Line("store"); !line.MatchString(got) {
		t.Errorf("Line() = %q, want %s", got, line)
	}
}

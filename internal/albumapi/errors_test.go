package albumapi

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// docs/services.md lists every problem type beside its status.
func TestProblemsAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		row := fmt.Sprintf("(?m)^\\| [0-9, ]*\\b%d\\b[0-9, ]* \\|[^|]*`%s`", p.status, p.name)
		if !regexp.MustCompile(row).Match(docs) {
			t.Errorf("docs/services.md does not list %d %s", p.status, p.name)
		}
	}
}

package httpserver

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"soundcheck/internal/httpheader"
)

// The document has the constants of the code.
func TestDocs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/overload.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(b)), " ")
	for _, want := range []string{fmt.Sprintf("responds to one more request on each connection, for %s at most", lingerTime), "`" + httpheader.Draining + ": true`"} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/overload.md does not say %q", want)
		}
	}
}

package upstream

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"soundcheck/internal/cli"
)

// The documents have the constants of the code.
func TestDocs(t *testing.T) {
	t.Parallel()
	f := cli.NewFlags("test", "TEST", "")
	Flags(f, "store", "http://127.0.0.1:1")
	texts := map[string]string{"-h": f.Help()}
	for _, path := range []string{"../../docs/services.md", "../../docs/overload.md"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(b)
	}
	for path, want := range map[string][]string{
		"-h":                     {fmt.Sprintf("circuit breaker: stop calling a failing store for %s", breakerDelay)},
		"../../docs/services.md": {fmt.Sprintf("circuit breaker: stop calling a failing store for %s", breakerDelay)},
		"../../docs/overload.md": {
			fmt.Sprintf("opens when %d of a store's last %d calls failed, for %s (±%g%%)", breakerFailures, breakerCalls, breakerDelay, 100*breakerJitter),
			fmt.Sprintf("it closes after %d successes in a row", breakerProbes),
			fmt.Sprintf("A draining store gets none for %s after each response", drainingFor),
			fmt.Sprintf("The first retry waits %d ms, each further one twice as long", firstWait.Milliseconds()),
			fmt.Sprintf("its remaining timeout plus %d ms", deadlineMargin.Milliseconds()),
		},
	} {
		text := strings.Join(strings.Fields(texts[path]), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q", path, w)
			}
		}
	}
}

package upstream

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"soundcheck/internal/cli"
)

// The documents give the numbers that the code has.
func TestDocs(t *testing.T) {
	t.Parallel()
	f := cli.NewFlags("test", "TEST", "")
	Flags(f, "store", "http://127.0.0.1:1")
	texts := map[string]string{"-h": f.Help()}
	for _, path := range []string{"../../README.md", "../../docs/overload.md"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(b)
	}
	for path, want := range map[string][]string{
		"-h":              {fmt.Sprintf("circuit breaker: stop calling a failing store for %s", breakerDelay)},
		"../../README.md": {fmt.Sprintf("circuit breaker: stop calling a failing store for %s", breakerDelay)},
		"../../docs/overload.md": {
			fmt.Sprintf("opens when %d of a store's last %d calls failed, for %s (±%g%%)", breakerFailures, breakerCalls, breakerDelay, 100*breakerJitter),
			fmt.Sprintf("it closes after %d successes in a row", breakerProbes),
			fmt.Sprintf("A draining one is spared for %s after each response", sparedFor),
			fmt.Sprintf("after %d ms, then twice as long each time", firstWait.Milliseconds()),
			fmt.Sprintf("how long it will wait, and %d ms more", deadlineMargin.Milliseconds()),
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

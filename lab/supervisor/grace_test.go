package supervisor

import (
	"os"
	"regexp"
	"testing"
	"time"

	"soundcheck/internal/cli"
	services "soundcheck/internal/service"
)

// A service ends in order before the supervisor, or Compose, kills it.
func TestServicesEndWithinGrace(t *testing.T) {
	f := cli.NewFlags("test", "TEST", "")
	c := services.CommonFlags(f, "127.0.0.1:0")
	needed := c.DrainDelay + c.DrainTimeout + c.FlushTimeout
	if needed >= stopGrace {
		t.Errorf("a service needs %s, the supervisor waits %s", needed, stopGrace)
	}
	b, err := os.ReadFile("../../compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`stop_grace_period: (\w+)`).FindAllStringSubmatch(string(b), -1)
	for _, m := range found {
		if d, err := time.ParseDuration(m[1]); err != nil || d <= needed {
			t.Errorf("a service needs %s, Compose waits %s", needed, m[1])
		}
	}
	if len(found) == 0 {
		t.Error("compose.yaml has no stop_grace_period")
	}
}

package schedule

import (
	"testing"
	"time"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	for warmUp, want := range map[time.Duration]string{
		0:                       "ABBAABBA",
		4 * time.Second:         "ABBAABBA",
		1500 * time.Millisecond: "BAABBAAB",
	} {
		at, got := Turns(warmUp, time.Second), ""
		for i := range 8 {
			got += string('A' + rune(at(time.Duration(i)*time.Second)))
		}
		if got != want {
			t.Errorf("after %s: %s, want %s", warmUp, got, want)
		}
	}
}

package connect

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A gate is open until a handshake was measured. Then requests wait for one of a few, for an idle connection, or for a
// tenth of a second.
func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate[string]()
		enter := func(n int) (waits []chan string) {
			for range n {
				if w := g.Enter("a"); w != nil {
					waits = append(waits, w)
				}
			}
			return waits
		}
		if waits := enter(100); len(waits) > 0 {
			t.Errorf("%d requests wait before a handshake was measured", len(waits))
		}
		for range 100 {
			g.Leave("a", 100*time.Microsecond)
		}
		waits := enter(dialsPerMillisecond + 3)
		if len(waits) != 3 || g.Enter("b") != nil {
			t.Fatalf("%d requests wait, want 3", len(waits))
		}
		if !g.Give("a", "idle") || <-waits[0] != "idle" {
			t.Error("the first one did not get the idle connection")
		}
		g.Leave("a", 0) // failed
		if c, ok := Wait(t.Context(), waits[1]); c != "" || !ok {
			t.Errorf("the second one got %q, %v, want leave to open a connection", c, ok)
		}
		start := time.Now()
		if c, ok := Wait(t.Context(), waits[2]); ok || time.Since(start) != maxGateWait {
			t.Errorf("the third one got %q after %s", c, time.Since(start))
		}
		if c := g.Stop("a", waits[2]); c != "" || g.dialing["a"] != dialsPerMillisecond+1 || g.Give("a", "idle") {
			t.Errorf("the third one got %q, %d open connections", c, g.dialing["a"])
		}
		// What comes while it stops waiting is its own.
		last := enter(1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if c, ok := Wait(ctx, last); ok {
			t.Errorf("got %q", c)
		}
		g.Give("a", "late")
		if c := g.Stop("a", last); c != "late" {
			t.Errorf("got %q, want the connection that came late", c)
		}
		// Connections over a network, whose handshakes take longer, are opened at the same rate.
		for range 100 {
			g.Enter("c")
		}
		g.Leave("c", 20*time.Millisecond)
		for range 20*dialsPerMillisecond - 99 {
			if g.Enter("c") != nil {
				t.Fatal("waits too early")
			}
		}
		if g.Enter("c") == nil {
			t.Error("does not wait")
		}
	})
}

//go:build !linux

package attack

import "time"

// napMax is 0: the runtime's timers are as good as it gets.
const napMax = 0

func nap(d time.Duration) { time.Sleep(d) }

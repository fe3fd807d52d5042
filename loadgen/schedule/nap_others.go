//go:build !linux

package schedule

import "time"

// napMax is 0: the runtime's timers are as good as it gets.
const napMax = 0

func nap(d time.Duration) { time.Sleep(d) }

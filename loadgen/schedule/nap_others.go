//go:build !linux

package schedule

import "time"

// napMax is 0: nap is not better than the runtime's timers.
const napMax = 0

func nap(d time.Duration) { time.Sleep(d) }

package schedule

import (
	"syscall"
	"time"
)

// napMax is the longest nap. It is longer than the runtime's timers are late.
const napMax = 2 * time.Millisecond

// nap sleeps for d, or less, and is late by some 50 µs. The runtime's own sleep waits in epoll_wait,
// which counts whole milliseconds.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // EINTR: the caller looks at the time again
}

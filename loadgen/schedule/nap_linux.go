package schedule

import (
	"syscall"
	"time"
)

// napMax is the longest nap: more than the delay of the runtime's timers.
const napMax = 2 * time.Millisecond

// nap sleeps for at most d, with a delay of about 50 µs. The runtime's own sleep uses
// epoll_wait with a resolution of 1 ms.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // EINTR: the caller checks the time
}

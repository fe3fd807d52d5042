package fault

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is a kind of fault. One fault per kind can be active.
type Kind string

// The kinds of faults.
const (
	DBDelay Kind = "db-delay"
	Latency Kind = "latency"
	Error   Kind = "error"
	Stall   Kind = "stall"
	Slots   Kind = "slots"
	Drop    Kind = "drop"
	// ConnLeak and DBLock need a Database.
	ConnLeak Kind = "conn-leak"
	DBLock   Kind = "db-lock"
	// NPlusOne is of a client of the store.
	NPlusOne Kind = "n-plus-one"
)

// maxDelay is the maximum duration of a fault.
const maxDelay = time.Hour

// fault is an active fault.
type fault struct {
	kind   Kind
	text   string // as it was set
	delay  time.Duration
	every  time.Duration // of a stall that repeats
	share  float64       // of requests
	status int
	since  time.Time
	slots  chan struct{} // its capacity is the number of workers
	over   chan struct{} // closed when it is turned off
	once   sync.Once
	locked atomic.Bool // the database's write lock is held
}

// on reports whether the fault has an effect: a single stall ends by itself.
func (f *fault) on() bool {
	return f.kind != Stall || f.every > 0 || time.Since(f.since) < f.delay
}

func (f *fault) end() { f.once.Do(func() { close(f.over) }) }

// stalled returns the rest of the current stall.
func (f *fault) stalled(now time.Time) time.Duration {
	at := now.Sub(f.since)
	if f.every == 0 {
		return f.delay - at
	}
	if at %= f.every; at < f.every-f.delay {
		return 0
	}
	return f.every - at
}

// parse parses one fault, such as "latency=50ms@10%".
func parse(s string) (*fault, error) {
	name, value, ok := strings.Cut(strings.TrimSpace(s), "=")
	f := &fault{kind: Kind(name), text: strings.TrimSpace(s), share: 1, since: time.Now(), over: make(chan struct{})}
	bad := func(want string) (*fault, error) {
		return nil, fmt.Errorf("fault %q: must be %s", s, want)
	}
	if !ok {
		return bad("kind=value, such as db-delay=20ms")
	}
	value, condition, some := strings.Cut(value, "@")
	switch f.kind {
	case DBDelay, Latency:
		f.delay, ok = duration(value)
		if shared := !some || f.setShare(condition); !ok || !shared {
			return bad(name + "=TIME@SHARE, TIME from 1us to 1h, SHARE above 0% and up to 100%")
		}
	case Error:
		var err error
		f.status, err = strconv.Atoi(value)
		if shared := !some || f.setShare(condition); err != nil || f.status < 400 || f.status > 599 || !shared {
			return bad("error=STATUS@SHARE, STATUS from 400 to 599, SHARE above 0% and up to 100%")
		}
	case Drop, NPlusOne, ConnLeak:
		if some || !f.setShare(value) {
			return bad(name + "=SHARE, SHARE above 0% and up to 100%")
		}
	case Stall:
		f.delay, ok = duration(value)
		if some {
			f.every, some = duration(condition)
			ok = ok && some && f.delay < f.every
		}
		if !ok {
			return bad("stall=TIME or stall=TIME@PERIOD, from 1us to 1h, TIME shorter than PERIOD")
		}
	case Slots:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 100_000 || some {
			return bad("slots=NUMBER, NUMBER from 1 to 100000")
		}
		f.slots = make(chan struct{}, n)
	case DBLock:
		var period bool
		f.delay, ok = duration(value)
		f.every, period = duration(condition)
		if !ok || !period || f.delay >= f.every {
			return bad("db-lock=TIME@PERIOD, from 1us to 1h, TIME shorter than PERIOD")
		}
	default:
		return bad("db-delay, latency, error, stall, slots, drop, conn-leak, db-lock or n-plus-one")
	}
	return f, nil
}

func duration(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= time.Microsecond && d <= maxDelay
}

// setShare parses "10%".
func (f *fault) setShare(s string) bool {
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(number, 64)
	f.share = percent / 100
	return ok && err == nil && percent > 0 && percent <= 100
}

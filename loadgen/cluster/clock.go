package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Offset is how far a worker's clock is ahead of the coordinator's, to within Error.
type Offset struct {
	Ahead, Error time.Duration
}

// String returns the offset with its error.
func (o Offset) String() string {
	sign := "+"
	if o.Ahead < 0 {
		sign = ""
	}
	return fmt.Sprintf("%s%s ±%s", sign, o.Ahead.Round(time.Microsecond), o.Error.Round(time.Microsecond))
}

const (
	pings = 16 // of a measurement
	// goodError ends a measurement early.
	goodError   = 100 * time.Microsecond
	pongTimeout = pingTimeout
)

// measureOffset measures a clock by pings. The response has the time of the other clock, which is at
// some moment between the ping and the response: the shortest of all round trips bounds the error by
// half of it.
func measureOffset(ctx context.Context, ping func(ctx context.Context) (sent, other, received time.Time, err error)) (Offset, error) {
	ctx, cancel := context.WithTimeout(ctx, pongTimeout)
	defer cancel()
	var best Offset
	for i := range pings {
		sent, other, received, err := ping(ctx)
		if err != nil {
			if i > 0 {
				break // what is known is known
			}
			return best, err
		}
		half := received.Sub(sent) / 2
		if i == 0 || half < best.Error {
			best = Offset{other.Sub(sent.Add(half).Round(0)), half} // Round: without the monotonic clock reading
		}
		if best.Error < goodError && i >= pings/2 {
			break
		}
	}
	return best, nil
}

// offsets measures the clocks of all workers.
func (c *Coordinator) offsets(ctx context.Context, members []*member) ([]Offset, []error) {
	offsets, errs := make([]Offset, len(members)), make([]error, len(members))
	// Few at a time: a queue on a busy coordinator would be a part of the round trip.
	turns := make(chan struct{}, atATime)
	var all sync.WaitGroup
	for i, m := range members {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			offsets[i], errs[i] = m.offset(ctx)
		})
	}
	all.Wait()
	return offsets, errs
}

// atATime is the number of clocks that are measured at a time.
const atATime = 8

// farthest returns the worker whose clock is farthest from the coordinator's.
func farthest(offsets []Offset) int {
	list := make([]int, len(offsets))
	for i := range list {
		list[i] = i
	}
	return slices.MaxFunc(list, func(a, b int) int { return cmp.Compare(offsets[a].Ahead.Abs(), offsets[b].Ahead.Abs()) })
}

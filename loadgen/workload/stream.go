package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/targets"
)

// Stream are targets that are sent while they are read. After the end of its reader, a stream of at most
// targets.Max begins again, unless Once is set.
type Stream struct {
	targets.Options
	Name   string
	Expect Expectations
	Once   bool
	// Shards processes read the same targets. Process Shard, from 0, sends every Shards-th; 0: one process.
	Shard, Shards uint64

	in     io.ReadCloser
	begin  sync.Once
	items  chan item
	closed chan struct{}
	failed error // why the reader ended; set before items is closed

	limit  uint64 // of targets that repeat
	first  *item
	ended  bool
	repeat []item
	count  uint64 // of Feed
	// The last items by number modulo schedule.Window. A worker reads one after it was fed.
	window []item
}

// item is a target of a stream, with its number among all.
type item struct {
	prepared
	number uint64
}

// NewStream returns a stream of the targets of a reader, which it closes.
func NewStream(name string, in io.ReadCloser, o targets.Options) *Stream {
	return &Stream{Options: o, Name: name, in: in, limit: targets.Max, items: make(chan item, 1024), closed: make(chan struct{})}
}

var errStreamClosed = errors.New("the run has ended")

// read reads all targets.
func (s *Stream) read() {
	defer close(s.items)
	number, shards := uint64(0), max(s.Shards, 1)
	s.failed = s.Each(s.Name, s.in, func(t vegeta.Target) error {
		n := number
		if number++; n%shards != s.Shard {
			return nil
		}
		p, err := prepare(&t, s.Data, s.Expect)
		if err != nil {
			return err
		}
		select {
		case s.items <- item{p, n}:
			return nil
		case <-s.closed:
			return errStreamClosed
		}
	})
}

// Wait waits for the first target.
func (s *Stream) Wait(ctx context.Context) error {
	s.begin.Do(func() {
		s.window = make([]item, schedule.Window)
		go s.read()
	})
	if s.first != nil {
		return nil
	}
	select {
	case x, more := <-s.items:
		if !more {
			if s.failed == nil {
				s.failed = fmt.Errorf("%s: fewer targets than shards", s.Name)
			}
			return s.failed
		}
		s.first = &x
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted before the first target of %s", s.Name)
	}
}

// Feed makes the next target ready for a request. More is false at the end of the stream or of ctx, or at a
// time. Waited is true if the reader had none yet. One goroutine calls it, after Wait.
func (s *Stream) Feed(ctx context.Context, until time.Time) (more, waited bool) {
	x, more, waited := s.next(ctx, until)
	if more {
		s.window[s.count%schedule.Window] = x
		s.count++
	}
	return more, waited
}

func (s *Stream) next(ctx context.Context, until time.Time) (x item, more, waited bool) {
	if s.first != nil {
		x, s.first = *s.first, nil
		s.store(x)
		return x, true, false
	}
	if !s.ended {
		select {
		case x, more = <-s.items:
		default:
			waited = true
			ctx, cancel := context.WithDeadline(ctx, until)
			defer cancel()
			select {
			case x, more = <-s.items:
			case <-ctx.Done():
				return x, false, true
			}
		}
		if more {
			s.store(x)
			return x, true, waited
		}
		s.ended = true
	}
	if s.failed != nil || s.Once {
		return x, false, waited
	}
	x = s.repeat[s.count%uint64(len(s.repeat))]
	x.number = s.count*max(s.Shards, 1) + s.Shard
	return x, true, false
}

// store keeps a target to be repeated. A longer stream is not.
func (s *Stream) store(x item) {
	switch {
	case s.Once:
	case s.count >= s.limit:
		s.Once, s.repeat = true, nil
	default:
		s.repeat = append(s.repeat, x)
	}
}

// Ended reports whether the stream has ended, and not the plan. Call it after the last Feed.
func (s *Stream) Ended() bool { return s.ended && (s.Once || s.failed != nil) }

// Err returns why the stream ended before its end. Call it after the last Feed.
func (s *Stream) Err() error {
	if !s.ended {
		return nil
	}
	return s.failed
}

// Close ends the reading.
func (s *Stream) Close() {
	close(s.closed)
	_ = s.in.Close()
}

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

func (r *run) prepare(ctx context.Context, config json.RawMessage) error {
	for i, m := range r.members {
		t := Task{RunID: r.RunID, Run: r.number, Worker: i, Workers: len(r.members), Config: config}
		go func() { _ = m.send(toWorker{Prepare: &t}) }() // an error ends the connection, which is an event
	}
	timeout := time.NewTimer(prepareTimeout)
	defer timeout.Stop()
	ready := make([]bool, len(r.members))
	for slices.Contains(ready, false) {
		select {
		case e := <-r.events:
			switch {
			case e.lost != nil:
				return fmt.Errorf("worker %d was lost before the start: %s", e.worker, r.pods(ctx, e.worker, reason(e.lost)))
			case e.Ready != nil && e.Ready.Run == r.number && e.Ready.Error != "":
				return fmt.Errorf("worker %d: %s", e.worker, e.Ready.Error)
			case e.Ready != nil && e.Ready.Run == r.number:
				ready[e.worker] = true
			}
		case <-timeout.C:
			return fmt.Errorf("worker %d is not ready after %s", slices.Index(ready, false), prepareTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// podsTimeout is how long the reasons of lost workers may delay the end of the run.
const podsTimeout = time.Second

// pods adds what Kubernetes says of a worker.
func (r *run) pods(ctx context.Context, i int, text string) string {
	if r.c.Missing == nil {
		return text
	}
	ctx, cancel := context.WithTimeout(ctx, podsTimeout)
	defer cancel()
	reasons, _ := r.c.Missing(ctx)
	if cause := reasons[i]; cause != "" {
		text += " (" + cause + ")"
	}
	return text
}

// explainLost adds to the first reason what Kubernetes says of that worker, now that the run has ended.
func (r *run) explainLost() {
	if len(r.lost) == 0 {
		return
	}
	i := r.lost[0]
	for n, text := range r.invalid {
		if strings.HasPrefix(text, fmt.Sprintf("worker %d was lost ", i)) {
			r.invalid[n] = r.pods(context.Background(), i, text)
			return
		}
	}
}

// measureClocks measures the offsets, those again that are not known well enough.
func (r *run) measureClocks(ctx context.Context) error {
	var errs []error
	r.offsets, errs = r.c.offsets(ctx, r.members)
	for range clockAttempts {
		var doubtful []*member
		for i, m := range r.members {
			if errs[i] != nil || r.offsets[i].Error > MaxApart/2 {
				doubtful = append(doubtful, m)
			}
		}
		offsets, failed := r.c.offsets(ctx, doubtful)
		for n, m := range doubtful {
			if i := m.index; failed[n] == nil && (errs[i] != nil || offsets[n].Error < r.offsets[i].Error) {
				r.offsets[i], errs[i] = offsets[n], nil
			}
		}
	}
	worst := 0
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("worker %d was lost before the start: %w", i, err)
		}
		if r.offsets[i].Error > r.offsets[worst].Error {
			worst = i
		}
		if e := r.offsets[i].Error; e > MaxApart {
			r.apart = true
			r.invalid = append(r.invalid, fmt.Sprintf("worker %d: clock known only to ±%s, limit %s", i, e.Round(time.Millisecond), MaxApart))
		}
	}
	if r.number == 1 {
		far := farthest(r.offsets)
		r.c.log("clock offsets: max %s (worker %d), each known to ±%s", r.offsets[far].Ahead.Round(time.Microsecond), far, r.offsets[worst].Error.Round(time.Microsecond))
	}
	return nil
}

// checkStart compares when a worker began by its clock with the start of the run. Its clock is
// measured again: it may have been set since. All attempts have the time of one, since they may delay the end of the run.
func (r *run) checkStart(i int, began time.Time) {
	m := r.members[i]
	limit := time.Now().Add(pongTimeout)
	ctx, cancel := context.WithDeadline(context.Background(), limit)
	defer cancel()
	o, err := m.offset(ctx)
	for n := 1; n < clockAttempts && (err != nil || o.Error > MaxApart) && time.Now().Before(limit); n++ { // a busy worker responds late
		if next, e := m.offset(ctx); e == nil && (err != nil || next.Error < o.Error) {
			o, err = next, nil
		}
	}
	wrong := ""
	// The start by the clock of now: it may have been set, too.
	late := began.Sub(time.Now().Add(time.Until(r.start)).Add(o.Ahead).Round(0))
	select {
	case <-m.gone: // which is a reason of its own
	default:
		switch {
		case err != nil:
			wrong = "has a start that could not be checked: " + err.Error()
		case late-o.Error > MaxApart:
			wrong = fmt.Sprintf("started %s late, limit %s", late.Round(time.Millisecond), MaxApart)
		case -late-o.Error > MaxApart:
			wrong = fmt.Sprintf("started %s early, limit %s", (-late).Round(time.Millisecond), MaxApart)
		case o.Error > MaxApart:
			wrong = fmt.Sprintf("has a start that could not be checked: its clock is known only to ±%s", o.Error.Round(time.Millisecond))
		}
	}
	r.post(event{worker: i, checked: &wrong})
}

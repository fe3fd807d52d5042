package cluster

import (
	"cmp"
	"maps"
	"time"

	"soundcheck/loadgen/slo"
)

// silence is how long a worker may send no live numbers, which it does every second.
const silence = 3 * time.Second

// silent returns the worker without live numbers for the longest time, if that is too long; else -1.
func (r *run) silent() int {
	at, last := -1, time.Now().Add(-silence)
	for i, heard := range r.heard {
		if heard = cmp.Or(heard, r.start); heard.Before(last) && !r.finished(i) && !r.ends[i] {
			at, last = i, heard
		}
	}
	return at
}

// finished reports whether a worker has no more to send.
func (r *run) finished(i int) bool { return r.gone[i] || r.ends[i] && r.results[i] }

// unfinished returns the number of workers that have more to send.
func (r *run) unfinished() (n int) {
	for i := range r.members {
		if !r.finished(i) {
			n++
		}
	}
	return n
}

// look shows the progress, and ends the run if it is decided.
func (r *run) look() {
	all, _ := r.sum.Of("")
	p := Progress{Elapsed: time.Since(r.start), Classes: maps.Clone(all.Classes), P99: all.Served.Quantile(0.99), Last: r.sum.Window(), Slowest: r.slowest}
	p.Starts, p.Last.SendDelay = max(-p.Elapsed, 0), r.delay
	for _, u := range r.latest {
		p.InFlight, p.Users, p.Done = p.InFlight+u.InFlight, p.Users+u.Users, p.Done+u.Done
	}
	r.delay = 0
	p.Silent = r.silent()
	if r.Progress != nil && !r.canceled {
		r.Progress(p)
	}
	if r.EndWhen == nil || r.ended != "" || all.Requests() == 0 {
		return
	}
	var outlooks []slo.Outlook
	for _, o := range r.Objectives {
		outlooks = append(outlooks, o.Outlook(r.sum.Of(o.Scenario())))
	}
	if r.ended = r.EndWhen(outlooks); r.ended != "" {
		go r.tell(toWorker{End: r.ended})
		r.deadline.Reset(r.Timeout + lateTimeout)
	}
}

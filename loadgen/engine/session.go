package engine

import (
	"context"
	"fmt"
	"net/http/cookiejar"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
	"soundcheck/loadgen/schedule"
)

// Grace is how long users may take to complete their flow after the end of the plan.
const Grace = 30 * time.Second

// users are those that are on their way through a flow.
type users struct {
	ctx    context.Context // of the plan: they send nothing after it
	next   context.Context // until the last user has begun
	active atomic.Int64
	peak   atomic.Int64
	seq    atomic.Uint64 // of their requests
}

// session is a user on their way through a flow. The worker writes it before its last note is taken.
type session struct {
	number     uint64
	ctx        context.Context // with the span of the flow
	span       trace.SpanContext
	began      time.Time // scheduled; in the closed model the start
	end        time.Time // of the last response; of an unfinished user of the run
	failed     bool
	unfinished bool
	over       bool // of a note without a request: it has the outcome
}

// userKey is the attribute of a flow's span with the number of the user.
var userKey = attribute.Key("soundcheck.loadgen.user")

// run sends request seq, or lets user seq go through the flow. In the closed model, a user is due at a time (zero: at
// once), more reports whether another one is to come on this worker, and run returns when that is due.
func (w *worker) run(seq uint64, due time.Time, more func() bool) time.Time {
	if w.c.Flow == nil {
		w.request(seq)
		return time.Time{}
	}
	active := w.users.active.Add(1)
	defer w.users.active.Add(-1)
	for peak := w.users.peak.Load(); active > peak && !w.users.peak.CompareAndSwap(peak, active); peak = w.users.peak.Load() {
	}
	s := &session{number: w.c.Before + w.c.Plan.Number(seq)}
	w.jar, _ = cookiejar.New(nil) // never fails
	scheduled := w.pacer.ScheduledAt(seq)
	if w.c.Workers > 0 {
		scheduled = punctual(due)
	}
	if s.began = scheduled; scheduled.IsZero() {
		s.began = time.Now()
	}
	ctx, span := w.beginFlow(s)
	s.ctx = ctx
	u := w.walk(s, scheduled, active >= int64(w.c.MaxWorkers) && w.c.Workers == 0)
	if s.unfinished {
		s.end = time.Now()
	}
	if span != nil {
		if s.failed {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
	last := w.results.note()
	*last = note{session: &session{}}
	*last.session = *s
	last.session.over = true
	w.results.add(last)
	next := s.end.Add(u.Pause())
	if w.c.Workers > 0 && more() { // the next user takes their place
		end := w.pacer.Began().Add(w.c.Plan.Duration())
		wait(w.users.next, next.Add(min(end.Sub(next), 0)))
	}
	return next
}

// punctual returns a scheduled time that has come. A timer is up to 1 ms late: only what is more is a delay that the
// generator adds.
func punctual(scheduled time.Time) time.Time {
	if now := time.Now(); now.Sub(scheduled) < measure.MaxSendDelay {
		return now
	}
	return scheduled
}

// beginFlow begins the trace of a user: its requests are in it.
func (w *worker) beginFlow(s *session) (context.Context, trace.Span) {
	ctx := context.Context(&numbered{w.ctx, s.number})
	if w.trace.tracer == nil {
		return ctx, nil
	}
	ctx, span := w.trace.tracer.Start(ctx, "flow "+w.c.Flow.Name, trace.WithSpanKind(trace.SpanKindInternal))
	if span.IsRecording() {
		span.SetAttributes(w.trace.run...)
		span.SetAttributes(scenarioAttribute.String(w.c.Flow.Name), userKey.String(strconv.FormatUint(s.number, 10)))
	}
	s.span = span.SpanContext()
	return ctx, span
}

// walk sends the steps. The first one is scheduled at a time, in the closed model at none; each of the others after
// the response to the one before it, and the think time.
func (w *worker) walk(s *session, scheduled time.Time, full bool) *flow.User {
	u := w.c.Flow.NewUser(s.number, w.c.Seed)
	if w.c.Think != nil {
		u.Think(*w.c.Think)
	}
	for s.end = s.began; ; full = false {
		step, failure := u.Next()
		if s.unfinished = step != nil && w.users.ctx.Err() != nil; step == nil || s.unfinished {
			return u
		}
		n := w.results.note()
		*n = note{seq: w.users.seq.Add(1) - 1, sent: time.Now(), number: s.number, scheduled: scheduled, full: full, session: s, step: step.Name}
		ok := w.step(n, u, step, failure)
		if !s.span.IsValid() { // without spans, its requests have the trace
			s.span = n.span
		}
		s.end, s.unfinished = n.sent.Add(n.took), n.cancelled
		w.results.add(n)
		s.failed = s.failed || !ok && !s.unfinished
		if s.unfinished || !ok && !u.CarriesOn() {
			return u
		}
		if pause := u.Pause(); u.More() {
			scheduled = s.end.Add(pause)
			if s.unfinished = !wait(w.users.ctx, scheduled); s.unfinished {
				return u
			}
			scheduled = punctual(scheduled)
		}
	}
}

// step sends a step, and reports whether its response is as expected.
func (w *worker) step(n *note, u *flow.User, step *flow.Step, failure *flow.Failure) bool {
	if failure != nil {
		n.err = fmt.Errorf("step %s: %s: %s", step.Name, failure.Check, failure.Detail)
		return false
	}
	q, err := w.source.StepRequest(u, step)
	if err != nil {
		n.err = fmt.Errorf("step %s: %w", step.Name, err)
		return false
	}
	w.send(n, q)
	return n.err == nil && n.failure == nil && q.Expects(n.status)
}

// wait reports whether a time came before the end of a context.
func wait(ctx context.Context, until time.Time) bool {
	d := time.Until(until)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// joins waits until the population has a slot for a worker, and then sets when its user is due. It returns false if
// that is not to come.
func (t *transport) joins(index int, due *time.Time) bool {
	if t.c.Users == nil {
		return true
	}
	now := time.Since(t.pacer.Began())
	at, ok := schedule.Above(t.c.Users, float64(t.c.Plan.Number(uint64(index))), now)
	if !ok || at <= now {
		return ok
	}
	*due = t.pacer.Began().Add(at)
	return wait(t.users.next, *due)
}

// flow describes the flow for the report.
func (c Config) flow() *report.Flow {
	if c.Flow == nil {
		return nil
	}
	f := &report.Flow{Name: c.Flow.Name, Users: schedule.Plan{Stages: c.Users}.String()}
	if c.Think != nil {
		f.Think = c.Think.String()
	}
	if c.Workers == 0 {
		f.Planned, f.RateTarget = c.Plan.Planned(), c.Plan.Average(c.WarmUp)
	}
	return f
}

// topID returns the id of a flow's topmost span of the request; "": the request has its own trace.
func (n *note) topID() string {
	if n.session == nil || !n.top.IsValid() {
		return ""
	}
	return n.top.SpanID().String()
}

// addSession counts a user.
func (k *collector) addSession(s *session) {
	id := ""
	if s.span.IsSampled() {
		id = s.span.TraceID().String()
	}
	at := s.began.Sub(k.tr.pacer.Began()) - k.c.WarmUp
	k.AddUser(report.User{Scheduled: at, Duration: s.end.Sub(s.began), Failed: s.failed, Unfinished: s.unfinished, TraceID: id})
}

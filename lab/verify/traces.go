package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// found are the stored traces of the load.
type found struct {
	statements bool // the store has a database
	requests   map[string]traceOf
	datagen    map[string]traceOf
	work       map[string]traceOf // of operations
	caller     map[string]traceOf
}

// all returns every trace.
func (f *found) all() map[string]traceOf {
	all := map[string]traceOf{}
	for _, m := range []map[string]traceOf{f.requests, f.datagen, f.work, f.caller} {
		maps.Copy(all, m)
	}
	return all
}

// margin is how far the clocks of the machines may be apart.
const margin = 5 * time.Second

// traces checks that each request of the load is a complete trace, and the
// content of the spans.
func (s *session) traces(ctx context.Context) []Check {
	f := &found{requests: map[string]traceOf{}, datagen: map[string]traceOf{}, work: map[string]traceOf{}, caller: map[string]traceOf{}}
	s.found = f
	// A store without a database has no statements.
	// Prometheus returns the series of an earlier database for five minutes.
	_, f.statements, _ = s.prom.one(ctx, `count(db_client_operation_duration_seconds{service_name="`+storeService+`"})`)
	f.statements = f.statements && !s.InMemory
	checks := []Check{s.requestTraces(ctx), s.datagenTraces(ctx), s.workTraces(ctx), s.callerTrace(ctx)}
	var unconventional, leaked problems
	spans, secret := 0, newSecrets(s.load.Private)
	all := f.all()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		spans += len(all[id])
		unconventional.conventions(all[id], s.Environment, s.StoreElsewhere)
		leaked.leaks(all[id], secret)
	}
	if spans == 0 {
		return append(checks, failed("conventions", "no spans"), failed("private data in spans", "no spans"))
	}
	return append(checks,
		verdict("conventions", unconventional, "names, kinds, attributes and status of %d spans in %d traces", spans, len(all)),
		verdict("private data in spans", leaked, "searched %[3]d spans for %[1]d titles and artists that were sent, and for %[2]d attributes", len(secret.texts), len(personalAttributes), spans))
}

// requestTraces looks up each request of loadgen. A complete trace is not looked up again.
func (s *session) requestTraces(ctx context.Context) Check {
	const name = "traces: loadgen"
	complete := map[string]bool{}
	var failure error
	wrong := s.eventually(ctx, func(wrong *problems) error {
		missing := slices.DeleteFunc(slices.Clone(s.load.Traces), func(id string) bool { return complete[id] })
		failure = s.jaeger.each(ctx, missing, func(id string, t traceOf) {
			if len(t) == 0 {
				wrong.add("trace %s: is not stored", id)
				return
			}
			s.found.requests[id] = t
			if err := requestShape(t, loadgenName, s.found.statements); err != nil {
				wrong.add("trace %s: %v", id, err)
				return
			}
			complete[id] = true
		})
		slices.Sort(*wrong)
		return failure
	})
	if failure != nil {
		return failed(name, "%v", failure)
	}
	kinds := map[string]bool{}
	for _, t := range s.found.requests {
		if r := t.root(); r != nil {
			kinds[r.OperationName] = true
		}
	}
	if len(complete) == 0 {
		wrong.add("no trace is complete")
	}
	return verdict(name, wrong, "%d of %d requests have complete traces, of %d operations", len(complete), len(s.load.Traces), len(kinds))
}

// searched is the max number of traces in a search for few.
const searched = 1000

// tagged searches for the load's traces with an attribute.
func (s *session) tagged(ctx context.Context, service, key, value string, to time.Time) ([]traceOf, error) {
	tags, err := json.Marshal(map[string]string{key: value})
	if err != nil {
		return nil, err
	}
	return s.jaeger.search(ctx, service, string(tags), s.load.Begin.Add(-margin), to.Add(margin), searched)
}

// datagenTraces searches for those of datagen.
func (s *session) datagenTraces(ctx context.Context) Check {
	posts := 0
	wrong := s.eventually(ctx, func(wrong *problems) error {
		posts = 0
		list, err := s.tagged(ctx, datagenName, verifyKey, s.load.Datagen, s.load.End)
		if err != nil {
			return err
		}
		for _, t := range list {
			s.found.datagen[t[0].TraceID] = t
			if r := t.root(); r != nil && r.Tags.Text("http.request.method") == "POST" {
				posts++
			}
			if err := requestShape(t, datagenName, s.found.statements); err != nil {
				wrong.add("trace %s: %v", t[0].TraceID, err)
			}
		}
		if posts < s.load.Posts {
			wrong.add("%d traces that create albums, want %d", posts, s.load.Posts)
		}
		return nil
	})
	return verdict("traces: datagen", wrong, "%d complete traces, %d of which create albums", len(s.found.datagen), posts)
}

// workTraces searches for the traces of asynchronous operations.
func (s *session) workTraces(ctx context.Context) Check {
	requests := map[string]string{} // by operation, the trace that submitted it
	for id, t := range s.found.datagen {
		for _, sp := range t {
			if sp.OperationName == "album.submit" {
				requests[sp.Tags.Text("album.operation.id")] = id
			}
		}
	}
	wrong := s.eventually(ctx, func(wrong *problems) error {
		for operation, id := range requests {
			list, err := s.tagged(ctx, storeService, "album.operation.id", operation, time.Now())
			if err != nil {
				return err
			}
			works := slices.DeleteFunc(list, func(t traceOf) bool { return t[0].TraceID == id })
			for _, t := range works {
				s.found.work[t[0].TraceID] = t
				if request, err := workShape(t, s.found.statements); err != nil {
					wrong.add("trace %s: %v", t[0].TraceID, err)
				} else if request.TraceID != id {
					wrong.add("trace %s links to %s, want %s", t[0].TraceID, request.TraceID, id)
				}
			}
			if len(works) == 0 {
				wrong.add("operation %s of trace %s: no trace of its work", operation, id)
			}
		}
		if len(requests) != s.load.Operations {
			wrong.add("%d operations in datagen's traces, want %d", len(requests), s.load.Operations)
		}
		return nil
	})
	return verdict("traces: operations", wrong, "%d asynchronous operations, each a complete trace that links to its request", len(s.found.work))
}

// callerTrace searches for the request without trace context: the proxy starts
// its trace.
func (s *session) callerTrace(ctx context.Context) Check {
	wrong := s.eventually(ctx, func(*problems) error {
		list, err := s.tagged(ctx, proxyService, "user_agent.original", s.load.Caller, s.load.End)
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return fmt.Errorf("%d traces of the request that had no trace context, want 1", len(list))
		}
		s.found.caller[list[0][0].TraceID] = list[0]
		return requestShape(list[0], "", s.found.statements)
	})
	return single("traces: no trace context", wrong, "a request without trace context has a complete trace that starts at the proxy")
}

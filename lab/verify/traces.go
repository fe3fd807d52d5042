package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
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

// traces makes sure that each request of the load is a whole trace, and looks at what the
// spans tell.
func (s *session) traces(ctx context.Context) []Check {
	f := &found{requests: map[string]traceOf{}, datagen: map[string]traceOf{}, work: map[string]traceOf{}, caller: map[string]traceOf{}}
	s.found = f
	// A store without a database has no statements.
	_, f.statements, _ = s.prom.one(ctx, `count(db_client_operation_duration_seconds{service_name="`+storeService+`"})`)
	checks := []Check{s.requestTraces(ctx), s.datagenTraces(ctx), s.workTraces(ctx), s.callerTrace(ctx)}
	var unconventional, leaked []string
	spans, secret := 0, newSecrets(s.load.Private)
	all := f.all()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		spans += len(all[id])
		unconventional = append(unconventional, conventions(all[id], s.Environment, s.StoreElsewhere)...)
		leaked = append(leaked, leaks(all[id], secret)...)
	}
	if spans == 0 {
		return append(checks, failed("conventions", "no span to look at"), failed("private data in spans", "no span to look at"))
	}
	return append(checks,
		verdict("conventions", unconventional, "names, kinds, attributes and status of %d spans in %d traces", spans, len(all)),
		verdict("private data in spans", leaked, "%d titles and artists that were sent, and %d attributes, looked for in %d spans", len(secret.texts), len(personal), spans))
}

// requestTraces looks up each request of loadgen.
func (s *session) requestTraces(ctx context.Context) Check {
	const name = "traces: loadgen"
	wrong := map[string]string{}
	for _, id := range s.load.Traces {
		wrong[id] = "is not stored"
	}
	var err error
	s.eventually(ctx, func() bool {
		err = s.jaeger.each(ctx, slices.Sorted(maps.Keys(wrong)), func(id string, t traceOf) {
			if len(t) == 0 {
				return
			}
			s.found.requests[id] = t
			if e := requestShape(t, loadgenName, s.found.statements); e != nil {
				wrong[id] = e.Error()
			} else {
				delete(wrong, id)
			}
		})
		return err == nil && len(wrong) == 0
	})
	if err != nil {
		return failed(name, "%v", err)
	}
	kinds := map[string]bool{}
	for _, t := range s.found.requests {
		if r := t.root(); r != nil {
			kinds[r.OperationName] = true
		}
	}
	var problems []string
	for _, id := range slices.Sorted(maps.Keys(wrong)) {
		problems = append(problems, "trace "+id+": "+wrong[id])
	}
	whole := len(s.load.Traces) - len(wrong)
	if whole == 0 {
		problems = append(problems, "no trace is whole")
	}
	return verdict(name, problems, "%d of %d requests are whole traces, of %d operations", whole, len(s.load.Traces), len(kinds))
}

// tagged is a search for an attribute.
func tagged(key, value string) url.Values {
	b, _ := json.Marshal(map[string]string{key: value}) // of strings: there is no error
	return url.Values{"tags": {string(b)}}
}

// searched is how many traces a search for few may find.
const searched = 1000

// datagenTraces searches for those of datagen.
func (s *session) datagenTraces(ctx context.Context) Check {
	const name = "traces: datagen"
	var problems []string
	posts := 0
	s.eventually(ctx, func() bool {
		problems, posts = nil, 0
		list, err := s.jaeger.search(ctx, datagenName, tagged(verifyKey, s.load.Datagen), s.load.Begin.Add(-margin), s.load.End.Add(margin), searched)
		if err != nil {
			problems = []string{err.Error()}
			return false
		}
		for _, t := range list {
			s.found.datagen[t[0].TraceID] = t
			if r := t.root(); r != nil && r.Tags.get("http.request.method") == "POST" {
				posts++
			}
			if err := requestShape(t, datagenName, s.found.statements); err != nil {
				problems = append(problems, "trace "+t[0].TraceID+": "+err.Error())
			}
		}
		if posts < s.load.Posts {
			problems = append(problems, fmt.Sprintf("%d traces that create albums, want %d", posts, s.load.Posts))
		}
		return len(problems) == 0
	})
	return verdict(name, problems, "%d whole traces, %d of which create albums", len(s.found.datagen), posts)
}

// workTraces searches for what the operations did, which are traces of their own.
func (s *session) workTraces(ctx context.Context) Check {
	const name = "traces: operations"
	requests := map[string]string{} // by operation, the trace that asked for it
	for id, t := range s.found.datagen {
		for _, sp := range t {
			if sp.OperationName == "album.submit" {
				requests[sp.Tags.get("album.operation.id")] = id
			}
		}
	}
	var problems []string
	s.eventually(ctx, func() bool {
		problems = nil
		for operation, id := range requests {
			list, err := s.jaeger.search(ctx, storeService, tagged("album.operation.id", operation), s.load.Begin.Add(-margin), time.Now().Add(margin), searched)
			if err != nil {
				problems = []string{err.Error()}
				return false
			}
			works := 0
			for _, t := range list {
				if t[0].TraceID == id {
					continue
				}
				works++
				s.found.work[t[0].TraceID] = t
				if request, err := workShape(t, s.found.statements); err != nil {
					problems = append(problems, "trace "+t[0].TraceID+": "+err.Error())
				} else if request.TraceID != id {
					problems = append(problems, "trace "+t[0].TraceID+" links to "+request.TraceID+", want "+id)
				}
			}
			if works == 0 {
				problems = append(problems, "operation "+operation+" of trace "+id+": no trace of its work")
			}
		}
		if len(requests) != s.load.Operations {
			problems = append(problems, fmt.Sprintf("%d operations in datagen's traces, want %d", len(requests), s.load.Operations))
		}
		return len(problems) == 0
	})
	return verdict(name, problems, "the work of %d operations, each a whole trace that links to its request", len(s.found.work))
}

// callerTrace searches for the request that came without trace context: the proxy begins
// its trace.
func (s *session) callerTrace(ctx context.Context) Check {
	const name = "traces: any caller"
	var problem error
	s.eventually(ctx, func() bool {
		var list []traceOf
		list, problem = s.jaeger.search(ctx, proxyService, tagged("user_agent.original", s.load.Caller), s.load.Begin.Add(-margin), s.load.End.Add(margin), searched)
		switch {
		case problem != nil:
			return false
		case len(list) != 1:
			problem = fmt.Errorf("%d traces of the request that had no trace context, want 1", len(list))
			return false
		}
		s.found.caller[list[0][0].TraceID] = list[0]
		problem = requestShape(list[0], "", s.found.statements)
		return problem == nil
	})
	if problem != nil {
		return failed(name, "%v", problem)
	}
	return passed(name, "a request without trace context is a whole trace that begins at the proxy")
}

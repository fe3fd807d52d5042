package verify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

func (w *world) encode(id string) map[string]any {
	t := w.traces[id]
	var spans []any
	processes := map[string]any{}
	for _, s := range t.spans {
		refs := []map[string]any{}
		if s.parent != "" {
			refs = append(refs, map[string]any{"refType": "CHILD_OF", "traceID": id, "spanID": s.parent})
		}
		if s.link != "" {
			refs = append(refs, map[string]any{"refType": "FOLLOWS_FROM", "traceID": s.link, "spanID": "1"})
		}
		tags := keyValues(s.tags)
		tags = append(tags, map[string]any{"key": "span.kind", "value": s.kind})
		spans = append(spans, map[string]any{"traceID": id, "spanID": s.id, "operationName": s.name, "references": refs, "processID": s.service,
			"startTime": w.load.Begin.Add(s.start).UnixMicro(), "duration": s.took.Microseconds(), "tags": tags,
			"logs": []any{map[string]any{"fields": keyValues(s.events)}}})
		processes[s.service] = map[string]any{"serviceName": s.service, "tags": keyValues(t.resource[s.service])}
	}
	return map[string]any{"traceID": id, "spans": spans, "processes": processes}
}

func (w *world) jaeger(rw http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutPrefix(r.URL.Path, "/api/traces/"); ok {
		w.mu.Lock()
		late := w.missing[id] > 0
		w.missing[id]--
		w.mu.Unlock()
		if w.traces[id] == nil || late {
			http.Error(rw, "{}", http.StatusNotFound)
			return
		}
		send(rw, map[string]any{"data": []any{w.encode(id)}})
		return
	}
	data := []any{}
	if r.URL.Path == "/api/traces" {
		for id := range w.traces {
			if w.matches(id, r) {
				data = append(data, w.encode(id))
			}
		}
	}
	send(rw, map[string]any{"data": data})
}

// matches reports whether a trace is what a search is for.
func (w *world) matches(id string, r *http.Request) bool {
	q := r.URL.Query()
	var tags map[string]string
	_ = json.Unmarshal([]byte(q.Get("tags")), &tags)
	from, _ := strconv.ParseInt(q.Get("start"), 10, 64)
	to, _ := strconv.ParseInt(q.Get("end"), 10, 64)
	for _, s := range w.traces[id].spans {
		at := w.load.Begin.Add(s.start).UnixMicro()
		if s.service != q.Get("service") || at < from || at >= to {
			continue
		}
		all := true
		for k, v := range tags {
			all = all && (fmt.Sprint(s.tags[k]) == v || fmt.Sprint(w.traces[id].resource[s.service][k]) == v)
		}
		if all {
			return true
		}
	}
	return false
}

package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// LogLine is a parsed log line.
type LogLine struct {
	Service string
	Message string
	TraceID string
	SpanID  string
	Sampled bool // the trace was sampled, so it is stored
	Text    string
}

// LogSource is a source of log lines.
type LogSource interface {
	Name() string
	// Has reports whether a service writes to it.
	Has(service string) bool
	// Lines returns the lines written since the source was created.
	Lines(context.Context) ([]LogLine, error)
}

// source is the name of a LogSource and the service that writes to it.
type source struct{ name, service string } // service ""; all services

// Name implements LogSource.
func (s source) Name() string { return s.name }

// Has implements LogSource.
func (s source) Has(service string) bool { return s.service == "" || s.service == service }

// requestLine is the message of the line that a service writes for each request.
const requestLine = "request"

// others is the max number of other clients' traces, from log lines, that are looked up.
const others = 50

// logs checks that log lines and spans match.
func (s *session) logs(ctx context.Context) []Check {
	var checks []Check
	for _, source := range s.Logs {
		checks = append(checks, s.joined(ctx, source))
	}
	for _, m := range s.NoLogs {
		checks = append(checks, Check{Name: strings.TrimSuffix("logs: "+m.Log, ": "), Outcome: Skipped, Text: m.Why})
	}
	if checks == nil {
		return []Check{failed("logs", "no log to check, and no reason given")}
	}
	return checks
}

// shedStatus reports whether a status means that a service shed a request or rejected it for
// a rate limit. It logs only some of these each second.
func shedStatus(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// joined checks that each server span of the load has its line in a source, and each
// line its span. No line may contain private data.
func (s *session) joined(ctx context.Context, source LogSource) Check {
	name := "logs: " + source.Name()
	type place struct{ service, trace, span string }
	traces := s.found.all()
	spans, server := map[place]bool{}, map[place]bool{} // server: whether there has to be a line
	demanded := 0
	for id, t := range traces {
		for _, sp := range t {
			p := place{sp.service, id, sp.SpanID}
			spans[p] = true
			if sp.kind() == "server" && source.Has(sp.service) {
				if server[p] = !shedStatus(sp.status()); server[p] {
					demanded++
				}
			}
		}
	}
	if demanded == 0 {
		return failed(name, "no server span to match with log lines")
	}
	secret := newSecrets(s.load.Private)
	stored := 0
	wrong := s.eventually(ctx, func(wrong *problems) error {
		stored = 0
		lines, err := source.Lines(ctx)
		if err != nil {
			return err
		}
		seen, foreign := map[place]int{}, map[string]bool{}
		for _, line := range lines {
			_, own := traces[line.TraceID]
			if !own && line.TraceID != "" {
				if line.Sampled && len(foreign) < others {
					foreign[line.TraceID] = true
				}
				continue
			}
			if leaked := secret.in(line.Text); leaked != "" {
				wrong.add("a line of %s contains %q, which was sent: %.200s", line.Service, leaked, line.Text)
			}
			if !own {
				continue
			}
			p := place{line.Service, line.TraceID, line.SpanID}
			if !spans[p] {
				wrong.add("a line of %s names span %s, which is not in trace %s", p.service, p.span, p.trace)
			}
			if line.Message == requestLine {
				seen[p]++
			}
		}
		for p, demand := range server {
			if n := seen[p]; n > 1 || n == 0 && demand {
				wrong.add("%d request lines of %s for trace %s, span %s, want 1", n, p.service, p.trace, p.span)
			}
		}
		err = s.jaeger.each(ctx, slices.Sorted(maps.Keys(foreign)), func(id string, t traceOf) {
			if len(t) == 0 {
				wrong.add("trace %s of a line is not stored", id)
			}
			stored++
		})
		slices.Sort(*wrong)
		return err
	})
	c := verdict(name, wrong, "%d server spans have one log line each, and each line has its span", demanded)
	if stored > 0 {
		c.Text += fmt.Sprintf("; %d traces of other clients are stored", stored)
	}
	if shed := len(server) - demanded; shed > 0 {
		c.Text += fmt.Sprintf("; skipped: %d spans with status 429 or 503 (a service logs at most 10 shed requests/s)", shed)
	}
	return c
}

// ServiceLog is the log of a service: JSON lines.
func ServiceLog(service, path string) LogSource {
	return newFile(service+".log", path, service, func(line []byte) ([]LogLine, error) {
		lines, err := serviceLine(line)
		for i := range lines {
			lines[i].Service = service
		}
		return lines, err
	})
}

// serviceLine parses a line that a service writes.
func serviceLine(line []byte) ([]LogLine, error) {
	var e struct {
		Service string `json:"service.name"`
		Message string `json:"msg"`
		TraceID string `json:"trace_id"`
		SpanID  string `json:"span_id"`
	}
	if !bytes.HasPrefix(line, []byte("{")) {
		return nil, nil // the stack trace of a crash
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, err
	}
	return []LogLine{{Service: e.Service, Message: e.Message, TraceID: e.TraceID, SpanID: e.SpanID, Text: string(line)}}, nil
}

// otlpValue is a value of OTLP's JSON.
type otlpValue struct {
	StringValue string `json:"stringValue"`
}

// otlpLogs is a line of what the Collector writes.
type otlpLogs struct {
	ResourceLogs []struct {
		Resource struct {
			Attributes []struct {
				Key   string
				Value otlpValue
			}
		}
		ScopeLogs []struct {
			LogRecords []json.RawMessage
		}
	}
}

// sampledFlag is that of a trace's flags.
const sampledFlag = 1

// CollectorLog is the file to which the Collector writes the log records it received:
// lines of OTLP JSON.
func CollectorLog(path string) LogSource {
	return newFile(collectorRecords, path, "", records)
}

// collectorRecords is the name of that source, wherever the file is.
const collectorRecords = "Collector log records"

// records parses a line of OTLP JSON.
func records(line []byte) (lines []LogLine, err error) {
	var e otlpLogs
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, err
	}
	for _, r := range e.ResourceLogs {
		service := ""
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.StringValue
			}
		}
		for _, scope := range r.ScopeLogs {
			for _, raw := range scope.LogRecords {
				var record struct {
					Body            otlpValue
					TraceID, SpanID string
					Flags           int
				}
				if err := json.Unmarshal(raw, &record); err != nil {
					return nil, err
				}
				lines = append(lines, LogLine{service, record.Body.StringValue, record.TraceID, record.SpanID, record.Flags&sampledFlag != 0, string(raw)})
			}
		}
	}
	return lines, nil
}

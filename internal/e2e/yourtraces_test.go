package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
)

// called has the proxy serve a request of this trace.
func (l *lab) called(t *testing.T, trace []byte, flags string) {
	t.Helper()
	ask(t, http.MethodGet, l.Proxy()+"/albums/1", "", fmt.Sprintf("Traceparent: 00-%x-%x-%s", trace, random(8), flags))
}

func (l *lab) traceParent(t *testing.T) {
	trace := random(16)
	l.called(t, trace, "01")
	eventually(t, "the spans of both services in the trace", func() error {
		var found struct {
			Data []struct {
				Processes map[string]struct{ ServiceName string }
			}
		}
		if err := l.jaegerTrace(t, trace, &found); err != nil {
			return err
		}
		for _, p := range found.Data[0].Processes {
			if p.ServiceName == "album-store" {
				return nil
			}
		}
		return fmt.Errorf("%+v, want album-store", found.Data[0].Processes)
	})
}

func (l *lab) jaegerTrace(t *testing.T, trace []byte, into any) error {
	t.Helper()
	address := l.Jaeger() + "/api/traces/" + hex.EncodeToString(trace)
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func (l *lab) sampledFlag(t *testing.T) {
	without, with := random(16), random(16)
	l.called(t, without, "00")
	l.called(t, with, "01")
	var found any
	eventually(t, "the sampled trace", func() error { return l.jaegerTrace(t, with, &found) })
	if err := l.jaegerTrace(t, without, &found); err == nil {
		t.Error("a trace that is not sampled is in Jaeger")
	}
}

func (l *lab) lengths(t *testing.T) {
	f, trace := newForeign(l, "long"), random(16)
	f.sendSpans(t, span(trace, strings.Repeat("n", 70_000), text("attribute", strings.Repeat("a", 70_000))))
	if s := l.wantSpans(t, trace, 1)[0]; len(s.OperationName) != 1024 || len(s.tag("attribute")) != 4096 {
		t.Errorf("the span's name has %d bytes, its attribute %d, want 1024 and 4096", len(s.OperationName), len(s.tag("attribute")))
	}
}

func (l *lab) utf8(t *testing.T) {
	f, trace := newForeign(l, "binary"), random(16)
	f.sendSpans(t, span(trace, "hello", text("binary", notUTF8)))
	want := "a" + strings.Repeat("\uFFFD", len(notUTF8)-2) + "b"
	if got := l.wantSpans(t, trace, 1)[0].tag("binary"); got != want {
		t.Errorf("the attribute is %q, want %q", got, want)
	}
}

func (l *lab) logRecords(t *testing.T) {
	f, trace, id := newForeign(l, "logging"), random(16), random(8)
	f.mustSend(t, "logs", &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: f.resource}, ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{{
			TimeUnixNano: nanoseconds(time.Now()), TraceId: trace, SpanId: id,
			Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "joined the lab"}}}}}}}}})
	file, err := os.ReadFile(filepath.Join(l.Logs(), "otlp.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(file) {
		if bytes.Contains(line, []byte("joined the lab")) && bytes.Contains(line, []byte(hex.EncodeToString(trace))) &&
			bytes.Contains(line, []byte(hex.EncodeToString(id))) && bytes.Contains(line, []byte(`"logging"`)) {
			return
		}
	}
	t.Error("the record is not in otlp.jsonl")
}

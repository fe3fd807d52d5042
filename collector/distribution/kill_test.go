package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// What the Collector has acknowledged survives a SIGKILL right after its response, of
// each signal, whether or not the backend was there.
func TestKill(t *testing.T) {
	const requests, each = 10, 1000
	b := newBackends(t)
	p := newProcess(t, b)
	now := pcommon.NewTimestampFromTime(time.Now())
	for i := range requests {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "killed")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for n := range each {
			span := spans.AppendEmpty()
			span.SetName("survives")
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(spanID(i*each + n + 1))
			span.SetStartTimestamp(now)
			span.SetEndTimestamp(now)
		}
		p.sendTraces(td)
	}
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "killed")
	gauge := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	gauge.SetName("survives")
	point := gauge.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetTimestamp(now)
	point.SetIntValue(1)
	p.sendMetrics(md)
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("this record survives")
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	p.post("logs", "application/x-protobuf", body)
	p.kill()
	p.start()

	until(t, "spans after the restart", func() error {
		seen := map[pcommon.SpanID]bool{}
		b.spans(func(_ ptrace.ResourceSpans, s ptrace.Span) { seen[s.SpanID()] = true })
		if len(seen) != requests*each {
			return fmt.Errorf("%d of %d", len(seen), requests*each)
		}
		return nil
	})
	until(t, "the point after the restart", func() error {
		n := 0
		b.points("killed", func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			if m.Name() == "survives" {
				n++
			}
		})
		if n == 0 {
			return fmt.Errorf("it is not there")
		}
		return nil
	})
	if logs, err := os.ReadFile(b.logs); err != nil || !bytes.Contains(logs, []byte("this record survives")) {
		t.Errorf("the log record is not in the file: %v\n%.500s", err, logs)
	}
}

func spanID(n int) (id pcommon.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

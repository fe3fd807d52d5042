package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Whatever a sender puts into its strings, what the Collector passes on is UTF-8 and short
// enough for the backends, and nothing is missing.
func TestValid(t *testing.T) {
	b := newBackends(t)
	p := newProcess(t, b)
	now := pcommon.NewTimestampFromTime(time.Now())
	// The cut is inside a character.
	long := strings.Repeat("x", 4095) + strings.Repeat("é", 40_000)
	broken := "a\xffb"
	fill := func(m pcommon.Map) {
		m.PutStr("long", long)
		m.PutStr("broken", broken)
		m.PutStr("good", "ünchanged")
		m.PutInt("number", 65_500)
	}

	// Prometheus makes labels of a resource's attributes, too, and has no letter of these.
	unnamed := []string{"", "日本", "--", "\xff"}

	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	fill(rs.Resource().Attributes())
	rs.Resource().Attributes().PutStr("service.name", "foreign")
	ss := rs.ScopeSpans().AppendEmpty()
	fill(ss.Scope().Attributes())
	const spans = 100
	for i := range spans {
		span := ss.Spans().AppendEmpty()
		span.SetTraceID(pcommon.TraceID{1})
		span.SetSpanID(spanID(i + 1))
		span.SetStartTimestamp(now)
		span.SetEndTimestamp(now)
		span.SetName("good")
		if i == 0 {
			span.SetName(broken + long)
			span.Status().SetMessage(broken + long)
			fill(span.Attributes())
			event := span.Events().AppendEmpty()
			event.SetName("good")
			fill(event.Attributes())
			list := event.Attributes().PutEmptySlice("list")
			list.AppendEmpty().SetStr(long)
			list.AppendEmpty().SetStr(long)
			list.CopyTo(span.Attributes().PutEmptySlice("list"))
		}
	}
	p.sendTraces(td)

	md, metrics := good("foreign", time.Now())
	for _, name := range unnamed {
		md.ResourceMetrics().At(0).Resource().Attributes().PutStr(name, "removed")
	}
	fill(gauge(metrics, "filled", time.Now()).Attributes())
	point := gauge(metrics, "keys", time.Now())
	for _, name := range unnamed {
		point.Attributes().PutStr(name, "removed")
	}
	p.sendMetrics(md)

	ld := plog.NewLogs()
	record := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.Body().SetStr(broken + strings.Repeat("z", 100_000))
	fill(record.Attributes())
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	p.post("logs", "application/x-protobuf", body)

	check := func(where string, m pcommon.Map) {
		for k, v := range m.All() {
			if s := v.AsString(); len(s) > 4098 || !utf8.ValidString(s) || !utf8.ValidString(k) {
				t.Errorf("%s: %q is %d bytes long, UTF-8: %v", where, k, len(s), utf8.ValidString(s))
			}
		}
		if v, ok := m.Get("good"); ok && v.AsString() != "ünchanged" {
			t.Errorf("%s: a good value became %q", where, v.AsString())
		}
		if v, ok := m.Get("broken"); ok && v.AsString() != "a\uFFFDb" {
			t.Errorf("%s: %q became %q", where, broken, v.AsString())
		}
	}
	until(t, "the spans", func() error {
		n := 0
		b.spans(func(ptrace.ResourceSpans, ptrace.Span) { n++ })
		if n != spans {
			return fmt.Errorf("%d of %d", n, spans)
		}
		return nil
	})
	b.spans(func(rs ptrace.ResourceSpans, s ptrace.Span) {
		check("resource", rs.Resource().Attributes())
		check("scope", rs.ScopeSpans().At(0).Scope().Attributes())
		check("span", s.Attributes())
		for _, e := range s.Events().All() {
			check("event", e.Attributes())
		}
		for name, v := range map[string]string{"name": s.Name(), "status message": s.Status().Message()} {
			if len(v) > 4100 || !utf8.ValidString(v) {
				t.Errorf("%s is %d bytes long, UTF-8: %v", name, len(v), utf8.ValidString(v))
			}
		}
	})
	until(t, "the points", func() error {
		if names := b.names("foreign"); names["good"] != 1 || names["filled"] != 1 || names["keys"] != 1 {
			return fmt.Errorf("%v, want one each of good, filled, keys", names)
		}
		return nil
	})
	b.points("foreign", func(rm pmetric.ResourceMetrics, m pmetric.Metric) {
		check("resource", rm.Resource().Attributes())
		for name, v := range rm.Resource().Attributes().All() {
			if v.AsString() == "removed" {
				t.Errorf("Prometheus rejects the resource attribute %q", name)
			}
		}
		if m.Type() == pmetric.MetricTypeGauge {
			check(m.Name(), m.Gauge().DataPoints().At(0).Attributes())
		}
		if m.Name() == "keys" && m.Gauge().DataPoints().At(0).Attributes().Len() != 0 {
			t.Errorf("Prometheus rejects the attributes %v", m.Gauge().DataPoints().At(0).Attributes().AsRaw())
		}
	})
	logs, err := os.ReadFile(b.logs)
	if err != nil || !utf8.Valid(logs) || len(logs) > 80_000 || !bytes.Contains(logs, []byte("a\uFFFDb")) {
		t.Errorf("the file of logs has %d bytes, UTF-8: %v, %v", len(logs), utf8.Valid(logs), err)
	}
}

// Spans with many long attributes are sent in messages that Jaeger accepts.
func TestLargeSpans(t *testing.T) {
	b := newBackends(t)
	p := newProcess(t, b)
	now := pcommon.NewTimestampFromTime(time.Now())
	const requests, each, attributes = 8, 100, 10
	for i := range requests {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "foreign")
		ss := rs.ScopeSpans().AppendEmpty()
		for n := range each {
			span := ss.Spans().AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(spanID(i*each + n + 1))
			span.SetStartTimestamp(now)
			span.SetEndTimestamp(now)
			for a := range attributes {
				span.Attributes().PutStr(fmt.Sprint("long", a), strings.Repeat("x", 4096))
			}
		}
		p.sendTraces(td)
	}
	until(t, "the spans", func() error {
		n := 0
		b.spans(func(ptrace.ResourceSpans, ptrace.Span) { n++ })
		if n != requests*each {
			return fmt.Errorf("%d of %d", n, requests*each)
		}
		return nil
	})
}

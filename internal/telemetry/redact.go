package telemetry

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
)

// personal are attributes that the HTTP instrumentation sets and that tell who a
// caller is. They are taken out before a span leaves the process.
var personal = []attribute.Key{"client.address", "client.port", "network.peer.address", "network.peer.port", "enduser.id", "user.id"}

// redactor exports spans without personal attributes.
type redactor struct {
	trace.SpanExporter
	*patience
}

func (r redactor) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	redacted := make([]trace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		redacted[i] = s
		if a := s.Attributes(); slices.ContainsFunc(a, isPersonal) {
			redacted[i] = redactedSpan{s, slices.DeleteFunc(slices.Clone(a), isPersonal)}
		}
	}
	return r.try(ctx, func(ctx context.Context) error { return r.SpanExporter.ExportSpans(ctx, redacted) })
}

func isPersonal(kv attribute.KeyValue) bool { return slices.Contains(personal, kv.Key) }

type redactedSpan struct {
	trace.ReadOnlySpan
	attributes []attribute.KeyValue
}

func (s redactedSpan) Attributes() []attribute.KeyValue { return s.attributes }
